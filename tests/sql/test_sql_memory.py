"""The memory's votes and reports against a brute-force vote, scikit-learn and hand counts."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from u1core.lake.views import analysis


def brute_force_vote(labels_by_rank, k):
    """Count one vote per neighbour; of the classes with most votes the one met first wins."""
    votes = labels_by_rank[:k]
    return max(votes, key=lambda label: (votes.count(label), -votes.index(label)))


def search(lake, keys, neighbours, labels, scheme="theta", memory_labels=(0, 1, 2)):
    """Store records of a memory and of queries, and the memory labels that each query finds by rank."""
    common = keys | {"layer": "last"}
    for image, label in enumerate(memory_labels):
        lake.insert("records", common | {"image_id": image, "split": "memory", "label": label})
    for query, (label, found) in enumerate(zip(labels, neighbours, strict=True), start=1000):
        lake.insert("records", common | {"image_id": query, "split": "query", "label": int(label)})
        columns = {"rank": list(range(1, len(found) + 1)), "found": list(found)}
        lake.connection.execute(
            """insert into lake.neighbours by name
            select unnest($rank) as rank, unnest($found) as memory_label, $query as image_id, $label as label,
                $scheme as scheme, $cell_key as cell_key, $dataset as dataset, $model as model,
                $variant as variant, 'last' as layer""",
            columns | keys | {"query": query, "label": int(label), "scheme": scheme},
        )


def test_ties_go_to_the_class_with_the_nearest_vote(lake):
    # Of five votes cow has two (ranks 1, 4), bee two (ranks 2, 3), ant one: cow, whose best rank is 1.
    search(lake, lake.cell(), [[2, 1, 1, 2, 0]], [1])
    votes = {row["k"]: row["predicted_label"] for row in lake.rows("select * from memory_votes")}
    assert votes == {1: 2, 5: 2, 20: 2}


def test_votes_equal_brute_force(lake):
    rng = np.random.default_rng(21)
    neighbours = rng.integers(0, 4, (60, 20)).tolist()
    search(lake, lake.cell(), neighbours, rng.integers(0, 4, 60))
    found = lake.rows("select k, predicted_label from memory_votes order by k, image_id")
    expected = [
        {"k": k, "predicted_label": brute_force_vote(labels, k)} for k in (1, 5, 20) for labels in neighbours
    ]
    assert found == expected


def test_reports_equal_scikit_learn(lake):
    rng = np.random.default_rng(22)
    truth = rng.choice([0, 1, 2], 40, p=[0.6, 0.3, 0.1])
    # Class 3 is in memory and never asked; it is answered now and then.
    neighbours = [[label if rng.random() < 0.6 else int(rng.integers(0, 4))] for label in truth.tolist()]
    answers = np.array([labels[0] for labels in neighbours])
    keys = lake.cell(class_names=["ant", "bee", "cow", "doe"])
    search(lake, keys, neighbours, truth, memory_labels=[0, 0, 1, 2, 3])
    present = np.union1d(truth, answers)
    report = lake.row("select * from memory_report where k = 1")
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, answers, labels=present, zero_division=0
    )
    assert (report["n_memory"], report["n_query"], report["chance"]) == (5, 40, 0.25)
    assert report["accuracy"] == pytest.approx((truth == answers).mean())
    assert report["macro_f1"] == pytest.approx(f1.mean())
    assert report["head_accuracy"] is None
    correct = int((truth == answers).sum())
    interval = stats.binomtest(correct, 40).proportion_ci(method="wilson")
    assert (report["ci_low"], report["ci_high"]) == pytest.approx((interval.low, interval.high))
    classes = lake.rows("select * from memory_per_class where k = 1 order by label")
    assert [row["label"] for row in classes] == present.tolist()
    assert [row["precision"] or 0 for row in classes] == pytest.approx(precision.tolist())
    assert [row["recall"] or 0 for row in classes] == pytest.approx(recall.tolist())
    assert [row["support"] for row in classes] == support.tolist()
    confusion = confusion_matrix(truth, answers, labels=range(4))
    cells = lake.rows("select label, predicted_label, n from memory_confusion where k = 1")
    assert {(c["label"], c["predicted_label"]): c["n"] for c in cells} == {
        (t, p): confusion[t, p] for t in range(4) for p in range(4) if confusion[t, p]
    }


def test_a_class_never_answered_has_no_precision_and_one_never_asked_no_recall(lake):
    search(lake, lake.cell(), [[1], [1]], [0, 0])
    ant, bee = lake.rows(
        "select class_name, precision, recall, f1 from memory_per_class where k = 1 order by label"
    )
    assert ant == {"class_name": "ant", "precision": None, "recall": 0, "f1": 0}
    assert bee == {"class_name": "bee", "precision": 0, "recall": None, "f1": 0}


def test_head_accuracy_is_that_of_the_query_split(lake):
    keys = lake.cell(head_matches=True)
    search(lake, keys, [[0], [0]], [0, 1])
    lake.connection.execute("update lake.records set head_correct = image_id <> 1001")
    row = lake.row("select accuracy, head_accuracy from memory_report where k = 1")
    assert row == {"accuracy": 0.5, "head_accuracy": 0.5}


def test_schemes_stand_side_by_side(lake):
    keys = lake.cell()
    search(lake, keys, [[0], [1]], [0, 0])
    lake.connection.execute("""
        insert into lake.neighbours by name
        select * replace ('pooled' as scheme, 0 as memory_label) from lake.neighbours
    """)
    row = lake.row(analysis("schemes_side_by_side"), k=1)
    assert (row["theta"], row["pooled"], row["chroma"], row["n_query"]) == (0.5, 1.0, None, 2)


def test_confused_classes_lists_mistakes_only(lake):
    search(lake, lake.cell(), [[1], [0], [2], [2]], [0, 0, 2, 1])
    rows = lake.rows(analysis("confused_classes"), scheme="theta", k=1)
    assert [(r["class_name"], r["predicted_class_name"], r["share_of_class"]) for r in rows] == [
        ("bee", "cow", 1.0),
        ("ant", "bee", 0.5),
    ]
