"""What makes a space one of words: where its terms come from, what they begin with, and what its vectors say.

    terms      whole words of the training texts, a word list, or a tokenizer's pieces (`Lexicon`)
    anchors    every term encoded as if it were a text, centred, at length one: the head of the projectors
    start      features -> the anchors' own space: the identity where the encoder is theirs, else the rotation that
               brings the pairs closest; and a threshold that leaves each item so many terms
    teacher    a dense space over the same features gives its own maps instead, of the items and of the terms
    echo       the texts' own words, weighted as in BM25

So before anything is learnt a text is described by the words nearest to it, whichever side or language it is of, and a
picture too, if its encoder can be brought near the words'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from scipy import sparse

from pairspace.encoders.lexicon import Lexicon
from pairspace.encoders.parts import MaskedHead, masked_head
from pairspace.errors import SpaceError
from pairspace.projectors import Echo, IdentityProjector, LexicalProjector, LinearProjector, align, unit_vectors
from pairspace.space.building import model_of
from pairspace.space.side import Branch, Side, is_sparse
from pairspace.space.teaching import map_of

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = [
    "Sample",
    "begin_words",
    "give_terms",
    "known_terms",
    "own_counts",
    "read_lexicon",
    "term_vectors",
    "texts_of",
]

GAIN = 12.0  # of the scores at the start
TERMS = 100  # that an item has at the start
ROWS = 4096  # items on which that is measured


class Sample(NamedTuple):
    """What words begin with: features of some items of a side, one array a branch, and the own words of all."""

    features: Sequence[np.ndarray]
    counts: sparse.csr_array | None


def texts_of(space: Space, items: Mapping[str, Any]) -> pa.Array:
    """All sides' items that are texts.

    Raises:
        SpaceError: there are none.
    """
    found = [one for side, one in items.items() if space.part(side).encoder.modality == "text"]
    if not found:
        raise SpaceError("a sparse space takes its terms from texts, and no side holds any: give it a word list")
    return pa.concat_arrays([one.combine_chunks() if isinstance(one, pa.ChunkedArray) else one for one in found])


def known_terms(space: Space) -> Lexicon | None:
    """The space's terms, or those of an encoder that gives weights of terms itself; None where they are not known yet.

    Raises:
        SpaceError: encoders that give weights of other terms.
    """
    encoders = [branch.encoder for side in space.sides for branch in space.part(side).branches]
    found = [encoder.lexicon for encoder in encoders if is_sparse(encoder)]
    if len({lexicon.fingerprint for lexicon in found}) > 1:
        raise SpaceError("the encoders of this space give weights of different terms: they need one tokenizer")
    return space.part().lexicon or (found[0] if found else None)


def own_counts(part: Side, items: Any) -> sparse.csr_array | None:
    """How often each term stands in the items of a side; None where they are no texts."""
    if part.lexicon is None or part.encoder.modality != "text":
        return None
    return part.lexicon.counts(items)


def give_terms(space: Space, lexicon: Lexicon) -> None:
    """Let a new sparse space begin with its terms, or only remember them where `fit` must begin it.

    That is where pairs must say how encoders of different origin meet, or an encoder has its vocabulary still to learn.
    """
    branches = [branch for side in space.sides for branch in space.part(side).branches]
    reads = [branch.origin for branch in branches if not is_sparse(branch.encoder)]  # the others give terms themselves
    models = {None if origin is None else model_of(origin) for origin in reads}
    if None in models or len(models) > 1:
        for side in space.sides:
            space.part(side).lexicon = lexicon
    else:
        begin_words(space, lexicon)


def begin_words(
    space: Space,
    lexicon: Lexicon,
    *,
    sample: Mapping[str, Sample] | None = None,
    pairs: Mapping[str, Sequence[np.ndarray]] | None = None,
    teacher: Space | None = None,
    progress: bool | None = None,
) -> None:
    """Give an untrained sparse space its terms and what it begins with.

    Args:
        space: its projectors are replaced.
        lexicon: the terms.
        sample: of each side some items; None calibrates on the terms themselves.
        pairs: of each side and branch the last-layer features of partners, row by row, to align encoders of other
            origin.
        teacher: a dense space, whose maps are the start if it has one for every branch.
        progress: show bars.
    """
    kinds = {getattr(b.projector, "head_kind", "") for side in space.sides for b in space.part(side).branches}
    head = _masked_head(space, lexicon) if "mlm" in kinds else None
    maps = {side: [map_of(teacher, side, branch) for branch in space.part(side).branches] for side in space.sides}
    taught = all(one is not None for side in maps.values() for one in side)
    anchors, owner = _anchors(space, lexicon, progress, maps if taught else None)
    made: dict[int, LexicalProjector] = {}
    for side in space.sides:
        part = space.part(side)
        part.lexicon = lexicon
        given = None if sample is None else sample[side]
        for place, branch in enumerate(part.branches):
            if is_sparse(branch.encoder):
                continue
            if id(branch.projector) not in made:
                made[id(branch.projector)] = _begun(branch, lexicon, anchors, head)
                rows = _terms_features(space, branch, lexicon, progress) if given is None else given.features[place]
                some, projector = torch.from_numpy(rows[:ROWS]), made[id(branch.projector)]
                given_map = maps[side][place]
                if taught and given_map is not None and projector.head_kind in ("anchored", "fixed"):
                    projector.take_map(given_map.linear.weight.cpu(), some)
                elif owner is None or _same_origin(branch, owner):
                    projector.pass_through(some)
                else:
                    _turn(projector, place, owner, side, space, pairs)
                gain = GAIN if projector.head_kind in ("anchored", "fixed") else 1.0
                projector.calibrate(some, gain=gain, terms=min(TERMS, len(lexicon) / 4))
            branch.projector = made[id(branch.projector)].to(space.device).eval()
        _begin_echo(part, lexicon, given, space.device)
    space.keep_start()


def _anchors(
    space: Space,
    lexicon: Lexicon,
    progress: bool | None,
    maps: Mapping[str, Sequence[LinearProjector | None]] | None = None,
) -> tuple[torch.Tensor | None, Branch | None]:
    """Vectors of the terms, and the branch whose encoder made them: the first with weights of old that reads texts.

    With a teacher's maps they are the term's vectors in the teacher's space, of all sides with that encoder together.
    """
    for side in space.sides:
        for branch in space.part(side).starting():
            if branch.encoder.modality == "text" and not is_sparse(branch.encoder):
                features = torch.from_numpy(_terms_features(space, branch, lexicon, progress))
                rows = features[:, -branch.blocks[-1] :] if maps is None else _through(maps, space, branch, features)
                rows = rows - rows.mean(0)
                return torch.nn.functional.normalize(rows, dim=1), branch
    return None, None


@torch.inference_mode()
def _through(
    maps: Mapping[str, Sequence[LinearProjector | None]], space: Space, owner: Branch, features: torch.Tensor
) -> torch.Tensor:
    """The terms in the teacher's space: mean of the unit vectors that the sides of the same features give."""
    found = []
    for side, ours in maps.items():
        for one, branch in zip(ours, space.part(side).branches, strict=True):
            if one is not None and _same_origin(branch, owner) and branch.layers == owner.layers:
                device = next(one.parameters()).device
                found.append(unit_vectors(one(features.to(device))).cpu())
    return torch.stack(found).mean(0)


def term_vectors(space: Any, lexicon: Lexicon) -> np.ndarray | None:
    """A unit vector of each term, by the encoder that reads them: float32 (terms, dim); None where none does."""
    vectors, _ = _anchors(space, lexicon, False)
    return None if vectors is None else vectors.numpy()


def _terms_features(space: Space, branch: Branch, lexicon: Lexicon, progress: bool | None) -> np.ndarray:
    terms = pa.array([term.removeprefix("##") for term in lexicon.terms], pa.large_string())
    return branch.features(terms, cache=space.cache, start=branch.origin is not None, progress=progress).rows()


def _begun(
    branch: Branch, lexicon: Lexicon, anchors: torch.Tensor | None, masked: MaskedHead | None
) -> LexicalProjector:
    """A projector to these terms, its head set: to the anchors, or to that of a masked language model."""
    settings = branch.projector.settings() | {"dimension": len(lexicon), "keep": TERMS}
    del settings["kind"]
    if masked is not None:
        settings["width"] = masked.weight.shape[1]
    elif anchors is None:
        settings["head"] = "free"
    else:
        settings["width"] = anchors.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        projector = LexicalProjector(**settings)
    if masked is not None:
        count = len(lexicon)
        projector.set_head(masked.weight[:count], bias=masked.bias[:count], norm=masked.norm)
    elif anchors is not None and projector.head_kind in ("anchored", "fixed"):
        projector.set_head(anchors)
    return projector


def _masked_head(space: Space, lexicon: Lexicon) -> MaskedHead:
    """The head of the first encoder whose model has one over these terms.

    Raises:
        SpaceError: none has.
    """
    for side in space.sides:
        for branch in space.part(side).branches:
            layout = getattr(branch.encoder, "layout", None)
            tokens: Any = getattr(branch.encoder, "tokens", None)
            if layout is not None and Lexicon.from_tokenizer(tokens.backend).fingerprint == lexicon.fingerprint:
                return masked_head(layout.transformer, bool(branch.encoder.settings().get("trust_remote_code")))
    raise SpaceError("head='mlm' takes the head of an encoder over its own pieces: use lexicon='pieces'")


def _same_origin(branch: Branch, owner: Branch) -> bool:
    """Both use one model, if with other prompts."""
    came, anchors_are_of = branch.origin, owner.origin
    return came is not None and anchors_are_of is not None and model_of(came) == model_of(anchors_are_of)


def _turn(
    projector: LexicalProjector,
    place: int,
    owner: Branch,
    side: str,
    space: Space,
    pairs: Mapping[str, Sequence[np.ndarray]] | None,
) -> None:
    """Bring the features of a side's branch near the anchors; that of an encoder from nothing stays as it is."""
    if space.part(side).branches[place].origin is None:
        return
    assert pairs is not None, "encoders of different origin meet on pairs"
    owners = ((name, at) for name in space.sides for at, one in enumerate(space.part(name).branches) if one is owner)
    target, at = next(owners)
    y, x = torch.from_numpy(pairs[target][at]), torch.from_numpy(pairs[side][place])
    fixed = IdentityProjector(owner.blocks[-1:], owner.blocks[-1])
    align(fixed, projector, y, x)


def _begin_echo(part: Side, lexicon: Lexicon, given: Sample | None, device: torch.device) -> None:
    if not part.wants_echo or part.encoder.modality != "text":
        return
    part.echo = Echo(len(lexicon))
    if given is not None and given.counts is not None:
        part.echo.start(given.counts)
    part.echo.to(device)


def read_lexicon(space: Space, given: Lexicon | str | Path) -> Lexicon:
    """A lexicon as a user names it: an object, "pieces" of the first text encoder's tokenizer, or a file.

    Raises:
        SpaceError: the space is dense, or no encoder has a tokenizer.
        EncoderError: the file is no word list.
    """
    if not space.sparse:
        raise SpaceError("a lexicon is of sparse spaces: use projector='lexical'")
    if (known := known_terms(space)) is not None:
        raise SpaceError(f"the terms of this space are those of its encoder, {len(known):,}: leave lexicon out")
    if isinstance(given, Lexicon):
        return given
    if given != "pieces":
        return Lexicon.from_file(given, language=space.language)
    for side in space.sides:
        for branch in space.part(side).branches:
            tokenizer = getattr(getattr(branch.encoder, "tokens", None), "backend", None)
            if tokenizer is not None:
                return Lexicon.from_tokenizer(tokenizer)
    raise SpaceError("lexicon='pieces': no encoder of this space has a tokenizer")
