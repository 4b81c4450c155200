"""Which tokens may follow in a SMILES string.

A string is read from left to right by an automaton. Its state is what was written last and the atom that the
next bond begins at. Beside the state there are counters: open branches, open rings, tokens that are left.

The strings are those that RDKit writes, canonical or at random. Of other spellings some are refused: a ring
bond is declared where the ring is closed, ring digits follow their atom directly, a branch is followed by an
atom.

What is ensured: brackets and rings are closed, no atom has more bonds than RDKit lets it have, no aromatic atom
is outside a ring, and the number of aromatic atoms that need a double bond in a Kekule structure is even. That
a Kekule structure exists is not ensured; whoever reads the string must check it.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

from mmspec_ds.molecules.atoms import MOST_BONDS, AtomKind

CLOSINGS = MOST_BONDS + 3
"""Ways to close a ring: with a non-aromatic first atom that has 0 .. MOST_BONDS - 1 bonds left, or with an
aromatic one that has 0, 1 or 2. They follow the tokens as further actions, because a digit opens a ring or
closes one."""


class Mode(IntEnum):
    """What was written last."""

    START = 0  # nothing, or the dot between two molecules
    ATOM = 1  # an atom, or a ring digit after it
    CLOSED = 2  # a branch was closed; the state's atom is the one that it stands at
    OPEN = 3  # a branch was opened
    BOND = 4  # a bond after an atom
    CLOSED_BOND = 5
    OPEN_BOND = 6
    END = 7


_AFTER_BOND = {Mode.ATOM: Mode.BOND, Mode.CLOSED: Mode.CLOSED_BOND, Mode.OPEN: Mode.OPEN_BOND}
_BRANCH = (Mode.OPEN, Mode.OPEN_BOND)
_NEEDS = {Mode.START: 1, Mode.ATOM: 0, Mode.CLOSED: 1, Mode.OPEN: 3, Mode.BOND: 1, Mode.CLOSED_BOND: 1}
_NEEDS |= {Mode.OPEN_BOND: 3, Mode.END: 0}
"""Tokens that must follow: an atom; of a branch an atom, its end, and an atom after it."""


class Order(IntEnum):
    """The order of the bond that a symbol stands for, up to 4. An implicit one is aromatic between aromatic
    atoms, and single elsewhere."""

    NONE = -1  # dative
    IMPLICIT = 0
    SINGLE = 1
    DOUBLE = 2
    TRIPLE = 3
    QUADRUPLE = 4
    AROMATIC = 5


_BONDS = {"-": Order.SINGLE, "~": Order.SINGLE, "/": Order.IMPLICIT, "\\": Order.IMPLICIT}
_BONDS |= {"=": Order.DOUBLE, "#": Order.TRIPLE, "$": Order.QUADRUPLE, ":": Order.AROMATIC}
_BONDS |= {"->": Order.NONE, "<-": Order.NONE}


@dataclass(frozen=True, slots=True)
class Atom:
    """An atom of which `used` bonds are taken, `ring` of them aromatic (a ring that it opens may be)."""

    kind: AtomKind
    used: int = 0
    ring: int = 0

    @property
    def free(self) -> int:
        return self.kind.capacity - self.used

    @property
    def hydrogens(self) -> int:
        return self.kind.hydrogens[self.used]

    @property
    def is_root(self) -> bool:
        """An aromatic atom without an aromatic bond: it opens or closes a ring now, or is in an open one."""
        return self.kind.aromatic and self.ring == 0

    @property
    def can_be_left(self) -> bool:
        return not self.kind.aromatic or self.ring >= 2


@dataclass(frozen=True, slots=True)
class State:
    """The state of the automaton; the bond symbol counts in the modes with a bond."""

    mode: Mode
    atom: Atom | None = None
    order: Order = Order.IMPLICIT


@dataclass(frozen=True, slots=True)
class Step:
    """What an action does in a state.

    Attributes:
        after: the next state; of the end of a branch, that of the atom where it began.
        pushed: the state after the branch that begins here.
        bonds: how many bonds it takes of the atom that was there before. A branch takes one more, for the atom
            that follows it, which then takes one less.
        atoms: how many atoms must follow.
        is_last: no atom can follow, unless a branch is open.
        depth, rings, needs, parity: changes of the counters: open branches, open rings, tokens to complete the
            string, aromatic atoms that need a double bond (modulo 2).
        unsaturation: change of twice the number of rings and double bonds, by valences and hydrogens.
        depth_is: required of the depth: 0, 1 (at least one), or None.
        rings_from: required of the open rings: at least so many.
        rings_to: at most so many, at depth 0.
        parity_is: required at depth 0 without open rings.
    """

    after: State
    pushed: State | None = None
    bonds: int = 0
    atoms: int = 0
    is_last: bool = False
    depth: int = 0
    rings: int = 0
    needs: int = 0
    parity: int = 0
    unsaturation: int = 0
    depth_is: int | None = None
    rings_from: int = 0
    rings_to: int = 2
    parity_is: int | None = None


def _bonded(atom: Atom, order: Order, *, aromatic: bool) -> Atom | None:
    """The atom with one bond more, None if it does not take it."""
    cost = 0 if order is Order.NONE else 1
    if not atom.kind.aromatic:
        cost = max(order, 1) if order < Order.AROMATIC else 1
        cost = 0 if order is Order.NONE else cost
    elif order in (Order.TRIPLE, Order.QUADRUPLE) or (order is Order.DOUBLE and not atom.kind.takes_double):
        return None
    after = replace(atom, used=atom.used + cost, ring=atom.ring + aromatic)
    # An aromatic atom has two ring bonds at least.
    return None if after.free < max(0, 2 - after.ring if atom.kind.aromatic else 0) else after


def _toggled(before: Atom, after: Atom, order: Order) -> int:
    """1 if a bond changes whether an aromatic atom needs a double bond in the ring."""
    third = before.kind.third_frees and before.used < 3 <= after.used
    outside = before.kind.aromatic and order is Order.DOUBLE
    return int(third) ^ int(outside)


def _atom_step(state: State, kind: AtomKind) -> Step | None:
    """The state after the symbol of a new atom; None where there may be none."""
    new, parent = Atom(kind), state.atom
    extra = kind.valence - 2 if kind.is_heavy else 0
    needs = -_NEEDS[state.mode]
    if parent is None:
        if kind.aromatic and kind.capacity < 2:
            return None
        change = extra - new.hydrogens
        return Step(
            State(Mode.ATOM, new),
            is_last=new.free == 0,
            needs=needs,
            parity=kind.needs_double,
            unsaturation=change,
        )
    aromatic = parent.kind.aromatic and kind.aromatic and state.order in (Order.IMPLICIT, Order.AROMATIC)
    if state.order is Order.AROMATIC and not aromatic:
        return None
    left, child = (_bonded(one, state.order, aromatic=aromatic) for one in (parent, new))
    if left is None or child is None:
        return None
    branch = state.mode in _BRANCH
    if (branch and left.free < 1) or (not branch and not left.can_be_left):
        return None
    toggled = _toggled(parent, left, state.order)
    return Step(
        State(Mode.ATOM, child),
        pushed=State(Mode.CLOSED, left) if branch else None,
        bonds=left.used - parent.used - (state.mode in (Mode.CLOSED, Mode.CLOSED_BOND)),
        is_last=child.free == 0 and not branch,
        depth=int(branch),
        needs=needs + 2 * branch,
        parity=toggled ^ kind.needs_double ^ _toggled(new, child, state.order),
        unsaturation=extra - child.hydrogens + parent.hydrogens - left.hydrogens,
        rings_from=int(aromatic),
        rings_to=0 if child.free == 0 and not branch else 2,
        parity_is=None if branch else toggled,
    )


def _opening_step(state: State) -> Step | None:
    """A ring digit that opens a ring: one bond is taken here, and one where it is closed."""
    atom = state.atom
    if state.mode is not Mode.ATOM or atom is None:
        return None
    after = _bonded(atom, Order.IMPLICIT, aromatic=atom.kind.aromatic)
    if after is None:
        return None
    return Step(
        State(Mode.ATOM, after),
        bonds=1,
        rings=1,
        needs=1,
        parity=_toggled(atom, after, Order.IMPLICIT),
        unsaturation=atom.hydrogens - after.hydrogens + 1,
        depth_is=None if after.free else 1,
    )


def closing_step(state: State, way: int) -> Step | None:
    """A ring digit that closes a ring; `way` counts as CLOSINGS says."""
    atom, order = state.atom, state.order
    if state.mode not in (Mode.ATOM, Mode.BOND) or atom is None:
        return None
    from_aromatic = way >= MOST_BONDS
    aromatic = from_aromatic and atom.kind.aromatic and order in (Order.IMPLICIT, Order.AROMATIC)
    more = max(order, 1) - 1 if order < Order.AROMATIC else 0
    if order is Order.NONE or ((atom.is_root or order is Order.AROMATIC) and not aromatic):
        return None
    if more > (1 if from_aromatic else way):
        return None
    after = _bonded(atom, order, aromatic=aromatic)
    if after is None:
        return None
    outside = int(from_aromatic and order is Order.DOUBLE)
    return Step(
        State(Mode.ATOM, after),
        bonds=after.used - atom.used,
        is_last=after.free == 0,
        rings=-1,
        needs=-1 - _NEEDS[state.mode],
        parity=_toggled(atom, after, order) ^ outside,
        unsaturation=atom.hydrogens - after.hydrogens - 1 + (0 if from_aromatic else more),
        rings_from=1,
        rings_to=2 if after.free else 1,
    )


def _bond_step(state: State, order: Order) -> Step | None:
    """The state after a bond symbol; None where there may be none."""
    atom = state.atom
    if state.mode not in _AFTER_BOND or atom is None or atom.is_root:
        return None
    after = _bonded(atom, order, aromatic=False)
    if after is None or (state.mode is Mode.OPEN and after.free < 1):
        return None
    # An aromatic atom of one ring bond stands in a ring that is open; its bond can only close another one.
    only_closes = (
        state.mode is not Mode.OPEN and not atom.can_be_left and order not in (Order.AROMATIC, Order.IMPLICIT)
    )
    if only_closes and (state.mode is Mode.CLOSED or after.free < 1):
        return None
    mode = _AFTER_BOND[state.mode]
    needs = _NEEDS[mode] - _NEEDS[state.mode]
    atoms = {Mode.BOND: 0, Mode.CLOSED_BOND: 1, Mode.OPEN_BOND: 2}[mode]
    return Step(State(mode, atom, order), atoms=atoms, needs=needs, rings_from=2 if only_closes else 0)


def _bracket_step(state: State, token: str) -> Step | None:
    """The beginning or the end of a branch, the dot between molecules, or the end."""
    atom = state.atom
    if atom is None:
        return None
    if token == "(":
        if state.mode not in (Mode.ATOM, Mode.CLOSED) or atom.free < 2:
            return None
        needs = _NEEDS[Mode.OPEN] - _NEEDS[state.mode]
        bonds = int(state.mode is Mode.ATOM)
        return Step(State(Mode.OPEN, atom), bonds=bonds, atoms=2, needs=needs, rings_from=int(atom.is_root))
    if state.mode is not Mode.ATOM or not atom.can_be_left:
        return None
    if token == ")":
        return Step(State(Mode.CLOSED), atoms=1, depth=-1, needs=-1, depth_is=1)
    if token == ".":
        return Step(State(Mode.START), atoms=1, needs=1, depth_is=0, parity_is=0)
    return Step(State(Mode.END), is_last=True, needs=-1, depth_is=0, rings_to=0, parity_is=0)


END = "<eos>"


def token_step(state: State, what: AtomKind | str) -> Step | None:
    """What an atom or a token does in a state, None if it may not follow; a digit opens a ring."""
    if isinstance(what, AtomKind):
        return None if state.mode is Mode.END else _atom_step(state, what)
    if is_ring_token(what):
        return _opening_step(state)
    if what in _BONDS:
        return _bond_step(state, _BONDS[what])
    return _bracket_step(state, what) if what in ("(", ")", ".", END) else None


def is_ring_token(token: str) -> bool:
    """Whether a token opens or closes a ring: 1, %10, %(100)."""
    return token.isdecimal() or token.startswith("%")
