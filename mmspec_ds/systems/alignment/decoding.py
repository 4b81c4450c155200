"""How the tokens of an answer are chosen."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Decoding:
    """How the next token is chosen.

    Attributes:
        max_new_tokens: most tokens of an answer.
        temperature: divides the log-probabilities before a token is drawn; 0 takes the likeliest.
        top_p: draw among the likeliest tokens that have at least this probability together.
        seed: of the draws. An answer depends on it and on the prompt's own number, not on other prompts.
    """

    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 0.95
    seed: int = 0


GREEDY = Decoding()
"""The likeliest token each time, at most 128 of them."""
