"""The processes that train one trial together, as torchrun, `accelerate launch` or Lightning start them: which one reports, and what
the others receive from it. Uses the process group of torch.distributed that the program has made; makes none itself.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Mapping, Optional, Sequence

#: Asks the Linux kernel for a signal when the parent of this process ends (prctl(2)).
_PR_SET_PDEATHSIG = 1

#: Set by torchrun and `accelerate launch` in the processes that they start.
_LAUNCHED = "TORCHELASTIC_RUN_ID"


class Ranks:
    """This process among those of the trial. Without torch.distributed a trial is one process, of rank 0."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        # The launcher's word counts until the group exists, and the group's after the program has destroyed it.
        is_launched = _LAUNCHED in environment and environment.get("WORLD_SIZE", "1") != "1"
        self._rank = int(environment.get("RANK", "0")) if is_launched else 0
        self._is_launched = is_launched

    @property
    def rank(self) -> int:
        group = _group()
        if group is not None:
            self._rank = int(group.get_rank())
        return self._rank

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, the only process that exchanges lines with `sweep`."""
        return self.rank == 0

    def from_first(self, values: Sequence[float]) -> list[float]:
        """The values of rank 0, to the bit. Every process must call it, at the same place of its program.

        Raises RuntimeError if there are other processes but no process group.
        """
        group = _group()
        if group is not None:
            return _broadcast(group, values)
        if not self.is_first:
            raise RuntimeError(
                "rank 0 sends the lr of a closed-loop schedule to the other processes, but there is no process group: call"
                " torch.distributed.init_process_group() before the first update"
            )
        return list(values)

    def flag_of_first(self, flag: bool) -> bool:
        """The flag of rank 0. Every process must call it, at the same place of its program, once the group exists."""
        group = _group()
        return flag if group is None else bool(_broadcast(group, [float(flag)])[0])

    def end_with_launcher(self) -> None:
        """Lets the kernel kill this process when its launcher ends, on Linux.

        torchrun starts each of its processes in a separate session, so a kill of the program's process group does not reach them.
        """
        if not self._is_launched or not sys.platform.startswith("linux"):
            return
        import ctypes
        import signal

        launcher = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != launcher:
            # The launcher has ended before the request.
            os.kill(os.getpid(), signal.SIGKILL)


def _group() -> Optional[Any]:
    """The module torch.distributed, if the program has made a group of several processes with it."""
    module = sys.modules.get("torch.distributed")
    if module is None or not module.is_available() or not module.is_initialized():
        return None
    return module if module.get_world_size() > 1 else None


def _broadcast(group: Any, values: Sequence[float]) -> list[float]:
    torch = sys.modules["torch"]
    # NCCL has no tensors of the CPU. The program chooses its GPU, as NCCL needs it.
    device = f"cuda:{torch.cuda.current_device()}" if group.get_backend() == "nccl" else "cpu"
    tensor = torch.tensor(list(values), dtype=torch.float64, device=device)
    group.broadcast(tensor, src=0)
    received: list[float] = tensor.tolist()
    return received
