import sqlite3
from pathlib import Path

import pytest

from interlayer import InputError
from interlayer.evaluation.studies import reading, store, writing

from .bench_studies import jobs, outcome, results


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.db"


def test_what_is_recorded_is_read_back(path: Path):
    done, failed, pending = jobs()[:3]
    with writing(path) as study:
        study.plan([done, failed, pending])
        study.record([outcome(done), outcome(failed, error="it is too dark")])
    with reading(path) as study:
        assert [row["status"] for row in study.rows()] == ["done", "failed", "pending"]
        assert list(study.outcomes()) == [outcome(done), outcome(failed, error="it is too dark")]
        assert study.jobs() == [done, failed, pending]


def test_a_result_is_recorded_once_and_a_failure_gives_way(path: Path):
    job = jobs()[0]
    with writing(path) as study:
        study.plan([job, job])
        study.record([outcome(job, error="no memory")])
        assert study.pending([job]) == [] and study.pending([job], retry=True) == [job]
        study.record([outcome(job, 21.0)])
        study.record([outcome(job, 99.0), outcome(job, error="late")])
        [row] = study.rows()
        assert (row["psnr"], row["status"]) == (21.0, "done")
        assert len(list(study.stages())) == 1
        assert study.pending([job], retry=True) == []


def test_a_crash_between_pictures_and_result_leaves_no_half(path: Path, monkeypatch):
    job = jobs()[0]
    with writing(path) as study:
        study.plan([job])
        with monkeypatch.context() as patch:
            patch.setattr(store, "STAGE", ("no such column",))
            with pytest.raises(InputError):
                study.record([outcome(job)])
        assert study.pending([job]) == [job] and list(study.stages()) == []
        assert len(list(study.folder.rglob("*.png"))) == 3
        study.record([outcome(job)])
        assert study.pending([job]) == []
        assert len(list(study.folder.rglob("*.png"))) == 3


def test_a_full_disk_is_one_sentence_and_loses_nothing(path: Path, monkeypatch):
    first, second = jobs()[:2]
    with writing(path) as study:
        study.plan([first, second])
        study.record([outcome(first)])
        with monkeypatch.context() as patch:

            def full(*_):
                raise OSError(28, "No space left on device")

            patch.setattr(store, "replacing", full)
            study.folder.rename(path.with_name("elsewhere"))
            with pytest.raises(InputError, match="No space left on device; make room"):
                study.record([outcome(second)])
        assert study.pending([first, second]) == [second]


def test_a_full_database_is_one_sentence_and_loses_nothing(path: Path):
    planned, more = jobs("generated:0-9"), jobs("generated:10-99")
    with writing(path) as study:
        study.plan(planned)
        study._db.execute("PRAGMA max_page_count = 1")
        with pytest.raises(InputError, match="database or disk is full; make room"):
            study.record([outcome(job, error="x" * 5000) for job in planned])
        with pytest.raises(InputError, match="database or disk is full; make room"):
            study.plan(more)
        assert study.pending(study.jobs()) == planned


def test_a_damaged_study_is_one_sentence(path: Path):
    with writing(path) as study:
        study.plan(jobs("generated:0-99"))
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * 8192 + content[12288:])
    with pytest.raises(InputError, match="or a damaged one"), reading(path) as study:
        list(study.rows())


def test_only_one_process_writes(path: Path):
    with writing(path) as study, reading(path) as other:
        study.plan(jobs())
        assert len(other.jobs()) == len(jobs())
        with pytest.raises(InputError, match="another process writes"), writing(path):
            pass
    with writing(path):
        pass


def test_other_files_are_refused(path: Path):
    with pytest.raises(InputError, match="there is no study at"), reading(path):
        pass
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is not a study"), reading(path):
        pass
    path.write_text("no database at all, but long enough to have been taken for one" * 9)
    with pytest.raises(InputError, match="is not a study"), reading(path):
        pass
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE other (x)")
    database.close()
    with pytest.raises(InputError, match="is not a study"), writing(path):
        pass


@pytest.mark.parametrize(("step", "age"), [(1, "a newer"), (-1, "an older")])
def test_a_store_of_another_version_is_refused(path: Path, step, age):
    with writing(path) as study:
        study._db.execute(f"PRAGMA user_version = {store.VERSION + step}")
    for use in (reading, writing):
        with pytest.raises(InputError, match=f"written by {age} interlayer"), use(path):
            pass


def test_a_store_cannot_name_files_elsewhere(path: Path):
    job = jobs()[0]
    with writing(path) as study:
        study.plan([job])
        study.record([outcome(job)])
        study._db.execute("UPDATE results SET truth = '../../etc/passwd'")
        with pytest.raises(InputError, match="is damaged"):
            list(study.outcomes())


def test_shards_are_merged_whatever_their_order(tmp_path: Path):
    planned = jobs()
    for number in range(3):
        with writing(tmp_path / f"{number}.db") as study:
            study.plan(planned[number::2])
            study.record([outcome(job, 20 + number) for job in planned[number::2][:2]])
            study.record([outcome(planned[number::2][2], error="no luck")])
    merged = []
    for order in ((0, 1), (1, 0)):
        with writing(tmp_path / f"merged{order[0]}.db") as whole:
            for number in order:
                with reading(tmp_path / f"{number}.db") as part:
                    whole.plan(part.jobs())
                    whole.record(part.outcomes())
            merged.append(results(whole))
    assert merged[0] == merged[1] and len(merged[0]) == 6
