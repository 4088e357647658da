from flows.cli.doctor import mismatch, traps_in


def test_the_prefect_traps_are_named_in_plain_words():
    sound = {"prefect": "3.8.8", "fastapi": "0.150.0", "sqlalchemy": "2.0.58"}
    assert [f.state for f in traps_in(sound)] == ["good"]
    (fastapi,) = traps_in(sound | {"fastapi": "0.165.0"})
    assert fastapi.state == "fault"
    assert "fastapi 0.165.0 is too new for prefect 3.8.8" in fastapi.seen
    assert fastapi.todo == 'install "fastapi<0.151"'
    (sqlalchemy,) = traps_in(sound | {"sqlalchemy": "2.1.9"})
    assert "creates no scheduled run" in sqlalchemy.seen


def test_the_torch_trap_names_both_versions():
    fault = mismatch("2.13.0+cpu", "0.29.2", "operator torchvision::nms does not exist")
    assert "torch 2.13.0+cpu and torchvision 0.29.2 were not built for each other" in fault.seen
