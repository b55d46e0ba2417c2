"""Spaces on a model hub: a folder sent there, and a snapshot fetched from there, through `huggingface_hub`.

What is sent is exactly what `save_pretrained` writes, model card included, so one repository loads in pairspace and in
sentence-transformers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pairspace.encoders.load import is_hub_name
from pairspace.errors import SpaceError
from pairspace.space.card import model_card

if TYPE_CHECKING:
    from pairspace.space.model import Space

__all__ = ["local_folder", "push_to_hub"]

_OURS = ["encoders/*", "modules/*"]  # of an older space in the repository nothing here is left over


def push_to_hub(space: Space, repo_id: str, *, private: bool, token: str | None, commit_message: str | None) -> str:
    """Send a space to a hub; see `Space.push_to_hub`."""
    from huggingface_hub import HfApi

    from pairspace.space.saving import save_space

    with tempfile.TemporaryDirectory(prefix="pairspace-push-") as folder:
        save_space(space, Path(folder, "space"), portable=True)
        api = HfApi(token=token)
        try:
            repository = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            card = model_card(space, where=repository)
            Path(folder, "space", "README.md").write_text(card, encoding="utf-8")
            api.upload_folder(
                repo_id=repository,
                folder_path=Path(folder, "space"),
                commit_message=commit_message or f"Add the space {space.name}",
                delete_patterns=_OURS,
            )
        except Exception as error:  # of the network, of the hub, or of the name: all are the caller's to mend
            reason = " ".join(str(error).split())[:300]
            raise SpaceError(
                f"{repo_id}: the space was not sent to the model hub ({reason}); the name is organisation/name, and "
                "the right to write there comes from 'hf auth login' or token="
            ) from error
    return f"{api.endpoint}/{repository}"


def local_folder(path: str | Path, *, revision: str | None = None, token: str | None = None) -> Path:
    """The folder itself, or a snapshot of it from a model hub.

    Args:
        path: a folder, or organisation/name.
        revision: branch, tag or commit on the hub.
        token: for what is not public there.

    Raises:
        SpaceError: there is neither, or a revision was asked for of a folder here.
    """
    folder = Path(path)
    if folder.exists() and revision is not None:
        raise SpaceError(f"{path}: a folder here has no revisions; revision='{revision}' is for names on a model hub")
    if folder.exists() or not is_hub_name(str(path)):
        return folder
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(path), revision=revision, token=token))
    except Exception as error:
        raise SpaceError(f"{path}: no such folder here, and no such space on the model hub ({error})") from error
