"""Text to terms: lower case, word regexp, stopwords, Snowball stem.

Kept apart from BM25 so that whatever needs words (BM25, lexical views of a space) cuts them the same way. The
stemmers are PyStemmer's; the stopwords are Lucene's 33 for English and short lists of function words for some further
languages (a language without a list loses nothing but size: the idf of such words is near zero anyway). Scripts
written without spaces (Chinese, Japanese kana) are cut into overlapping character pairs, as Lucene's CJK analyser
does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pairspace.errors import PairspaceError

__all__ = ["LANGUAGES", "STOPWORDS", "Words", "language_name"]

# Codes of ISO 639-1 and the names PyStemmer gives the languages; None: no stemmer, words stay as they are.
LANGUAGES: dict[str, str | None] = {
    **{"ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english"},
    **{"eo": "esperanto", "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish"},
    **{"fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian", "id": "indonesian"},
    **{"it": "italian", "lt": "lithuanian", "nb": "norwegian", "ne": "nepali", "nl": "dutch", "nn": "norwegian"},
    **{"no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian"},
    **{"st": "sesotho", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish"},
    **{"ja": None, "ko": None, "zh": None},
}

STOPWORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "english": "a an and are as at be but by for if in into is it no not of on or such that the their then there "
        "these they this to was will with",
        "german": "aber als am an auch auf aus bei das dass dem den der des die durch ein eine einem einen einer eines "
        "er es für hat im in ist mit nach nicht noch nur oder sich sie sind so um und von vom vor war werden wie wird "
        "zu zum zur über",
        "french": "a au aux avec ce ces cette d dans de des du elle en est et il ils l la le les leur n ne on ou "
        "par pas pour qu que qui s sa se ses son sont sur un une",
        "italian": "a ad al alla alle anche che ci come con da dal dalla dei del della delle di e è gli ha i il in l "
        "la le lo ma nel nella non o per più se si sono su sul un una uno",
        "spanish": "a al como con de del e el en entre es esta este la las lo los más no o para pero por que se si sin "
        "son su sus un una unas unos y",
        "portuguese": "a ao aos as com como da das de do dos e é em entre mais mas na nas no nos não o os ou para "
        "pela pelo por que se sem seu são sua um uma",
        "dutch": "aan als bij dat de deze die dit door een en er het hij in is maar met naar niet of om ook op te tot "
        "uit van voor was wordt zich zijn",
        "danish": "af at da de den der det du efter eller en er et for fra han har i ikke kan med men og om på sig som "
        "til var ved",
        "swedish": "att av de den det du där efter eller en ett för från han har i inte kan med men och om på sig som "
        "till var vid är",
        "norwegian": "at av da de den der det du eller en er et etter for fra han har i ikke kan med men og om på seg "
        "som til var ved",
        "russian": "а без бы в во для до его если же за и из или их к как ко на не но о об от по при с со так также "  # noqa: RUF001
        "то у что это",  # noqa: RUF001
    }.items()
}

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(r"\w+")
_HAS_CJK = re.compile(f"[{_CJK}]")
_CJK_WORD = re.compile(rf"[{_CJK}]+|[^\W{_CJK}]+")


def language_name(language: str | None) -> str | None:
    """The Snowball name of a language given by name or ISO code ("de", "de-AT", "zh_CN"); None: it has no stemmer.

    Raises:
        PairspaceError: the language is unknown.
    """
    if language is None:
        return None
    wanted = language.strip().lower()
    code = re.split("[-_]", wanted)[0]
    if code in LANGUAGES:
        return LANGUAGES[code]
    if wanted in LANGUAGES.values() or wanted == "porter":
        return wanted
    known = ", ".join(f"{code} ({name})" if name else code for code, name in LANGUAGES.items())
    raise PairspaceError(f"no stemming for the language {language!r}; known: {known}; or None for words as they are")


class Words:
    """Cuts texts into words and words into terms, of one language.

    Args:
        language: name or ISO code; None keeps every word as it is, only lower-cased.

    Raises:
        PairspaceError: the language is unknown.
    """

    def __init__(self, language: str | None = "english") -> None:
        self.language = language_name(language)
        self.stopwords = STOPWORDS.get(self.language or "", frozenset())
        self._stem = None
        if self.language is not None:
            import Stemmer

            self._stem = Stemmer.Stemmer(self.language).stemWord

    def split(self, text: str) -> list[str]:
        """The lower-case words of a text in order, stopwords included; CJK runs as overlapping character pairs."""
        text = text.lower()
        if _HAS_CJK.search(text) is None:
            return _WORD.findall(text)
        return [piece for word in _CJK_WORD.findall(text) for piece in _pieces(word)]

    def term(self, word: str) -> str | None:
        """The term that a word counts as; None for a stopword."""
        if word in self.stopwords:
            return None
        return word if self._stem is None else self._stem(word)


def _pieces(word: str) -> Iterator[str]:
    if len(word) < 3 or _HAS_CJK.match(word) is None:
        yield word
    else:
        yield from (word[i : i + 2] for i in range(len(word) - 1))
