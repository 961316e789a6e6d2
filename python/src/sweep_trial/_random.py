"""The state of random generators as plain values, which pickle, JSON (without PyTorch) and `torch.load(weights_only=True)` accept.

Libraries that the program has not imported have no state to save.
"""

from __future__ import annotations

import random
import sys
from typing import Any, Iterator, Optional


def states(sources: tuple[Any, ...]) -> dict[str, Any]:
    """The states of the global generators, and of the generators in `sources`."""
    found: dict[str, Any] = {"python": _plain(random.getstate())}
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        found["numpy"] = _plain(numpy.random.get_state())
    if torch is not None:
        found["torch"] = torch.get_rng_state()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            found["cuda"] = torch.cuda.get_rng_state_all()
    found["generators"] = [_get(generator) for generator in _all(sources)]
    return found


def restore(state: dict[str, Any], sources: tuple[Any, ...]) -> None:
    """Sets the generators to `state`, which `states` returned for the same sources."""
    generators = list(_all(sources))
    saved = state.get("generators", [])
    if len(saved) != len(generators):
        raise ValueError(
            f"the state has {len(saved)} generators besides the global ones, but restore() was called with {len(generators)}:"
            " pass the same loaders and generators as to state()"
        )
    for name in ("numpy", "torch"):
        if name in state and name not in sys.modules:
            raise ValueError(f"the state has a generator of {name}, which this program has not imported: import it before restore()")
    random.setstate(_tuple(state["python"]))
    if "numpy" in state:
        sys.modules["numpy"].random.set_state(_tuple(state["numpy"]))
    if "torch" in state:
        torch = sys.modules["torch"]
        torch.set_rng_state(state["torch"].cpu())
        if "cuda" in state:
            torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])
    for generator, one in zip(generators, saved):
        _set(generator, one)


def _all(sources: tuple[Any, ...]) -> Iterator[Any]:
    """The generators in loaders and generators, each once."""
    known: set[int] = set()
    for source in sources:
        for generator in _generators(source):
            if id(generator) not in known:
                known.add(id(generator))
                yield generator


def _generators(source: Any) -> list[Any]:
    if _kind(source) is not None:
        return [source]
    if not hasattr(source, "sampler") and not hasattr(source, "generator"):
        raise TypeError(
            f"{type(source).__name__} has no random generator: pass a DataLoader, a torch.Generator, a numpy Generator or a random.Random"
        )
    sampler = getattr(source, "sampler", None)
    batches = getattr(getattr(source, "batch_sampler", None), "sampler", None)
    found = [getattr(holder, "generator", None) for holder in (source, sampler, batches)]
    return [generator for generator in found if generator is not None]


def _kind(generator: Any) -> Optional[str]:
    if hasattr(generator, "getstate") and hasattr(generator, "setstate"):
        return "python"
    if hasattr(generator, "bit_generator"):
        return "numpy"
    if hasattr(generator, "get_state") and hasattr(generator, "set_state"):
        return "torch"
    return None


def _get(generator: Any) -> Any:
    kind = _kind(generator)
    if kind == "python":
        return _plain(generator.getstate())
    if kind == "numpy":
        return _plain(generator.bit_generator.state)
    # That of PyTorch is a tensor, that of numpy's RandomState a tuple.
    state = generator.get_state()
    return _plain(state) if isinstance(state, tuple) else state


def _set(generator: Any, state: Any) -> None:
    kind = _kind(generator)
    if kind == "python":
        generator.setstate(_tuple(state))
    elif kind == "numpy":
        generator.bit_generator.state = state
    elif isinstance(state, (list, tuple)):
        generator.set_state(_tuple(state))
    else:
        generator.set_state(state.cpu())


def _plain(value: Any) -> Any:
    """The value with lists in place of arrays, and Python's numbers in place of numpy's."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _tuple(state: Any) -> tuple[Any, ...]:
    """The state as the generators of Python and numpy take it: a tuple, in which Python's has another one."""
    return tuple(tuple(one) if isinstance(one, list) else one for one in state)
