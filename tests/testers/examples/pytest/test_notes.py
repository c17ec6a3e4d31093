# conch exec --seed ../seed.json -- pytest
import os

import pytest
import requests

URL, OWNER = os.environ["CONCH_URL"], {"Authorization": os.environ["CONCH_TOKEN"]}


@pytest.fixture(autouse=True)
def same_data_for_each_test():
    requests.post(f"{URL}/api/test/reset", headers=OWNER).raise_for_status()


def login(identity, password):
    answer = requests.post(
        f"{URL}/api/collections/users/auth-with-password", json={"identity": identity, "password": password}
    )
    answer.raise_for_status()
    return answer.json()


def notes(headers):
    return requests.get(f"{URL}/api/collections/notes/records", headers=headers).json()["items"]


def test_a_note_is_created():
    bob = login("bob@example.com", "battery-staple")
    headers = {"Authorization": bob["token"]}
    note = {"text": "Feed the cat", "owner": bob["record"]["id"]}
    requests.post(f"{URL}/api/collections/notes/records", json=note, headers=headers).raise_for_status()
    assert [note["text"] for note in notes(headers)] == ["Feed the cat"]


def test_a_snapshot_of_its_own():
    snapshot = requests.post(f"{URL}/api/test/snapshot", headers=OWNER).json()
    for note in notes(OWNER):
        requests.delete(f"{URL}/api/collections/notes/records/{note['id']}", headers=OWNER).raise_for_status()
    assert notes(OWNER) == []
    requests.post(f"{URL}/api/test/restore", json=snapshot, headers=OWNER).raise_for_status()
    assert [note["text"] for note in notes(OWNER)] == ["Buy milk"]
