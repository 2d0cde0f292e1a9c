from __future__ import annotations

import pytest

from enrichd.lsp.states import TABLE, Effect, Event, ImpossibleEvent, ServerState, step

S, V, E = ServerState, Event, Effect

# one row for each state, one column for each event; "-" where the event is impossible
EVENTS = (
    "wanted found missing initialized proved overdue silent died "
    "too_big too_big_again replaced asked stopped"
)
EXPECTED = """
stopped     | starting - - - - - - - - - - - stopped
starting    | - starting unavailable warming - - backing_off backing_off - - - starting stopped
warming     | - - - - ready degraded backing_off backing_off - - - starting stopped
ready       | - - - - - - backing_off backing_off starting backing_off - starting stopped
degraded    | - - - - ready - backing_off backing_off starting backing_off - starting stopped
backing_off | starting - - - - - - - - - starting starting stopped
unavailable | starting - - - - - - - - - starting starting stopped
"""


def rows() -> list[tuple[ServerState, Event, ServerState | None]]:
    table = []
    for row in EXPECTED.strip().splitlines():
        state, _, cells = row.partition("|")
        for event, cell in zip(EVENTS.split(), cells.split(), strict=True):
            after = None if cell == "-" else S[cell.upper()]
            table.append((S[state.strip().upper()], V[event.upper()], after))
    return table


@pytest.mark.parametrize(("state", "event", "after"), rows())
def test_every_state_and_event(state: ServerState, event: Event, after: ServerState | None) -> None:
    if after is None:
        with pytest.raises(ImpossibleEvent):
            step(state, event)
    else:
        assert step(state, event).state is after


def test_no_state_is_forgotten() -> None:
    assert set(TABLE) == set(ServerState)
    assert {row[0] for row in rows()} == set(ServerState)
    assert set(EVENTS.split()) == {event.name.lower() for event in Event}


@pytest.mark.parametrize("state", [S.STARTING, S.WARMING, S.READY, S.DEGRADED])
@pytest.mark.parametrize("event", [V.DIED, V.SILENT])
def test_whatever_ends_a_server_kills_it_before_the_next_start(
    state: ServerState, event: Event
) -> None:
    assert step(state, event).effects == (E.KILL, E.BACK_OFF)


@pytest.mark.parametrize("state", [S.STARTING, S.WARMING, S.READY, S.DEGRADED])
def test_who_is_asked_to_start_afresh_is_ended_politely_before(state: ServerState) -> None:
    assert step(state, V.ASKED).effects == (E.END_POLITELY, E.FORGIVE, E.LOOK)


@pytest.mark.parametrize("state", [S.READY, S.DEGRADED])
def test_a_server_that_is_too_big_does_not_back_off_unless_that_was_no_help(
    state: ServerState,
) -> None:
    assert step(state, V.TOO_BIG).effects == (E.END_POLITELY, E.LOOK)
    assert step(state, V.TOO_BIG_AGAIN).effects == (E.END_POLITELY, E.BACK_OFF)


def test_deaths_are_forgotten_for_another_program_and_for_a_person_alone() -> None:
    forgiving = {
        event
        for events in TABLE.values()
        for event, transition in events.items()
        if E.FORGIVE in transition.effects
    }
    assert forgiving == {V.REPLACED, V.ASKED}


def test_a_missing_command_is_never_spawned() -> None:
    assert step(S.STARTING, V.MISSING).effects == (E.LOOK_LATER,)


def test_work_is_let_in_only_after_the_canary_or_its_time() -> None:
    letting_in = {
        (state, event)
        for state, events in TABLE.items()
        for event, transition in events.items()
        if E.SERVE in transition.effects
    }
    assert letting_in == {
        (S.WARMING, V.PROVED),
        (S.WARMING, V.OVERDUE),
        (S.DEGRADED, V.PROVED),
    }


def test_only_ready_and_degraded_servers_are_asked() -> None:
    assert {state for state in ServerState if state.servable} == {S.READY, S.DEGRADED}
