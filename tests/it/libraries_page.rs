//! The page of other libraries' names, made from their table: see `generated`.

use std::fmt::Write;

use interop::{ExtraType, LIBRARIES, LibraryEntry};

use crate::generated::{cell, hold, param_row, param_table};
use crate::support::root;

#[test]
fn the_page_of_libraries_describes_every_name() {
    hold(&root().join("docs/reference/libraries.md"), &page());
}

const HEAD: &str = "\
# Schedules of other libraries

<!-- Made from the tables in crates/interop/src; a test holds it. -->

A schedule may be written with the name and the parameters that its library gives it:

```yaml
schedules:
  cosine:   {kind: torch.CosineAnnealingLR, T_max: \"100%\", eta_min: 0.01x}
  onecycle: {kind: torch.OneCycleLR, total_steps: 1500}
```

or as a call copied from a Python program. In a sweep file the call is a text:

```yaml
schedules:
  onecycle: \"torch.OneCycleLR(max_lr=1x, total_steps=1500)\"
```

On the command line it is an argument:

```sh
sweep lr 'torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=100)'
```

The result is the library's schedule, step by step, with the library's own defaults; the entries below note the exceptions. Each name expands \
into the grammar of [schedules.md](schedules.md): the same schedule under both names is one trial. The numbers are those of torch 2.15, \
optax 0.2.8, keras 3.15, transformers 5.24 and timm 1.0.31.

- **Learning rates** are numbers, or multiples of the base lr as in `0.1x`. torch, transformers and timm multiply the \
optimizer's lr: that is the base lr. Where optax and keras need the highest or first lr, and torch `max_lr`, a mapping may leave \
it out: it is `1x` then. A call must give it, as in Python.
- **Lengths** are in steps, as if `step()` were called after each update; those of timm are in epochs. `clock: epoch` next to \
`kind:` makes them epochs. For a call, write `{clock: epoch, chain: [\"torch.StepLR(optimizer, 30)\"]}`.
- **Calls** may have positional arguments, be assigned to a name, span several lines, and be part of a whole program; the \
schedule that is used last counts. The reader understands imports, assignments (`a, b = 1, 2`, `lr *= 0.1`, with types too), \
literals, arithmetic and conditions, `int`, `max`, `round`, `len`, `range`, `list`, `dict`, the functions of `math` and `np`, \
`cfg[\"step\"]`, lambdas, and functions of one number that consist of assignments, `if` and `return`. It skips loops and \
branches: the values that they assign are unknown, and a schedule inside one is refused. A schedule that needs an unknown \
value is refused with the name of that value.
- **Lambdas** and such functions become expressions; [`lambda`](schedules.md#lambda) describes their language. Functions of \
`torch`, `jnp` and `tf` are refused there: they work on tensors, in single precision.
- **Arguments that only matter in Python** (the optimizer, `name`, and `verbose` with every schedule) are ignored. Where torch \
takes one value for each parameter group, a list of one value is that value.
- **`sweep lr`** takes the length of the run from the call if the call has one (`total_steps`, `T_max`, `decay_steps`, \
`num_training_steps`, `t_initial`, ...). It takes the base lr from the schedule's own optimizer if that is pasted as well: its \
argument, or the library's default (torch, timm with `create_optimizer_v2`, Keras, optax). The first of several parameter \
groups counts. An unknown lr (`lr=args.lr`) is refused by its name unless `--lr` is given.

A call that the library refuses is refused here too. [Calls of other libraries, compared](library-checks.md) has the results of thousands of \
random calls. The following is refused although the library runs it, each time with the reason:

- A length that is not a whole number of steps or epochs (`20.0` is one), or is below 0, unless the table says otherwise. The same \
is true for milestones.
- A whole number that is not a length, written as `2.0` or `1e2`.
- A number outside the range of its table, a word that is not in the table, and `True` or `False` where a number is expected, \
though Python counts with them.
- An lr below 0, or one that is not a finite number in single precision, at any step of the run: of a lambda, too.
- An argument that a function does not name; some functions of Keras take any.
- `lr_end` and `min_lr` of transformers where the optimizer's own lr, of which they are a share there, is not that of its \
first group; a cycled momentum where the optimizer has none but `cycle_momentum` is written as something other than `False`.
- An empty list where a mapping is expected.
- The cases that the notes below name.

";

fn page() -> String {
    let mut text = HEAD.to_owned();
    for (library, entries) in LIBRARIES {
        writeln!(text, "## {library}\n").expect("memory");
        entries.iter().for_each(|entry| describe(&mut text, entry));
    }
    text
}

fn describe(text: &mut String, entry: &LibraryEntry) {
    write!(text, "### `{}`\n\n```python\n{}\n```\n\n", entry.name, entry.example).expect("memory");
    writeln!(text, "- Expands to {}", code(entry.expansion)).expect("memory");
    if !entry.note.is_empty() {
        writeln!(text, "- {}.", entry.note).expect("memory");
    }
    for typed in entry.typed {
        writeln!(text, "- `{}` must be {}: {}.", typed.name, typed.number, typed.otherwise).expect("memory");
    }
    for (name, reason) in entry.refused {
        writeln!(text, "- `{name}` is refused: {reason}.").expect("memory");
    }
    if !entry.aliases.is_empty() {
        let names: Vec<String> = entry.aliases.iter().map(|name| format!("`{name}`")).collect();
        writeln!(text, "- Other names: {}", names.join(", ")).expect("memory");
    }
    let mut rows = String::new();
    for extra in entry.extra {
        let holds = match extra.ty {
            ExtraType::Schedules => "a list of schedules",
            ExtraType::Scales => "a mapping from steps to factors",
            ExtraType::Parameters => "a mapping of parameters",
            ExtraType::Each => "a list of mappings of parameters",
            ExtraType::Span => "a length, or two",
            ExtraType::Pair => "a word and a number",
            ExtraType::Word => "a word",
            ExtraType::Ticks => "a length above 0",
            ExtraType::Shares => "a share, or two",
        };
        let default = if extra.required { "required" } else { "—" };
        writeln!(rows, "| `{}` | {holds} | {default} | {} |", extra.name, cell(extra.doc)).expect("memory");
    }
    entry.params.iter().for_each(|param| rows.push_str(&param_row(param)));
    param_table(text, rows);
    text.push('\n');
}

/// An expansion with its grammar as code and the words around it as text.
fn code(expansion: &str) -> String {
    match expansion.split_once("; w") {
        Some((first, rest)) => format!("`{first}`; w{rest}"),
        None if expansion.starts_with('{') => format!("`{expansion}`"),
        None => expansion.to_owned(),
    }
}
