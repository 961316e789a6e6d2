"""A tiny GPT-2, trained from scratch with the Trainer of transformers. Downloads nothing: it learns to add."""

import sys

import sweep_trial as sweep
import torch
import transformers

trial = sweep.current(steps=200, lr=0.003, params={"batch_size": 32, "width": 32, "layers": 2})
transformers.set_seed(trial.seed)

LETTERS = "0123456789+="


def sums(first, last):
    """Every such sum as characters, `07+35=042`. The characters before the answer do not count in the loss."""
    for number in range(first, last):
        # A fixed order of all 10,000 pairs, the same for each trial.
        a, b = divmod(number * 7919 % 10_000, 100)
        ids = torch.tensor([LETTERS.index(letter) for letter in f"{a:02}+{b:02}={a + b:03}"])
        labels = ids.clone()
        labels[:6] = -100
        yield {"input_ids": ids, "labels": labels}


model = transformers.GPT2LMHeadModel(
    transformers.GPT2Config(
        vocab_size=len(LETTERS),
        n_positions=9,
        n_embd=trial.params["width"],
        n_layer=trial.params["layers"],
        n_head=4,
        bos_token_id=None,
        eos_token_id=None,
    )
)
optimizer = torch.optim.AdamW(model.parameters(), lr=trial.base_lr)
trainer = transformers.Trainer(
    model,
    transformers.TrainingArguments(
        output_dir=str(trial.checkpoints),
        max_steps=trial.total_steps,
        per_device_train_batch_size=trial.params["batch_size"],
        per_device_eval_batch_size=500,
        seed=trial.seed,
        save_strategy="no",
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=[],
    ),
    train_dataset=list(sums(0, 9000)),
    eval_dataset=list(sums(9000, 9500)),
    optimizers=(optimizer, trial.schedule(optimizer)),
    callbacks=[trial.transformers_callback()],
)
# Printing a dictionary for each step would be too much output.
trainer.remove_callback(transformers.PrinterCallback)
trainer.train(resume_from_checkpoint=trial.resume and str(trial.resume.path))
if trial.stop_requested:
    sys.exit(143)  # the exit code that shells use after SIGTERM
test = trainer.evaluate(list(sums(9500, 10_000)))
trial.log(trial.total_steps - 1, test_loss=test["eval_loss"])
