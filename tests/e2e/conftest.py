import pytest
from tests.support.deployments import Deployment
from tests.support.postgres_server import MISSING, Cluster, binaries

NAME = "backroom"


@pytest.fixture(scope="module")
def cluster():
    if binaries() is None:
        pytest.skip(MISSING)
    made = Cluster()
    made.start()
    yield made
    made.remove()


@pytest.fixture
def database(cluster):
    """The name of an empty one."""
    cluster.sql("postgres", f"CREATE DATABASE {NAME}")
    yield NAME
    cluster.sql("postgres", f"DROP DATABASE {NAME} WITH (FORCE)")


@pytest.fixture
def deploy(tmp_path, cluster, database):
    """Makes a deployment with an API process and that many instances."""
    made = []

    def deploy(instances=0):
        made.append(Deployment(tmp_path, cluster, database, instances))
        return made[-1]

    yield deploy
    for one in made:
        one.close()
