"""Tables that an older version has made, as MLflow and Optuna leave them: refused before the upgrade, read after it."""

from pathlib import Path

import pytest
import sqlalchemy

from jobs.errors import ServiceUnavailableError
from jobs.tuning.storage import study_storage
from local.errors import TablesTooNewError
from local.tables import upgrade


def execute(url: str, *statements: str) -> None:
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sqlalchemy.text(statement))
    engine.dispose()


def revision(url: str) -> str:
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar_one()
    engine.dispose()
    return str(found)


def test_mlflows_tables_are_upgraded(tmp_path: Path) -> None:
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config, _get_latest_schema_revision
    from mlflow.store.tracking.dbmodels.initial_models import Base

    url = f"sqlite:///{tmp_path / 'mlflow.db'}"
    engine = sqlalchemy.create_engine(url)
    Base.metadata.create_all(engine)  # of MLflow 0.9
    engine.dispose()
    command.upgrade(_get_alembic_config(url), "2b4d017a5e9b")  # of MLflow 1.11
    upgrade("mlflow", url)
    assert revision(url) == _get_latest_schema_revision()


def test_optunas_tables_are_upgraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import optuna

    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    optuna.create_study(storage=url, study_name="night")
    execute(url, "UPDATE alembic_version SET version_num = 'v3.0.0.d'")  # the next version only adds an index
    monkeypatch.setenv("ATOLL_OPTUNA_STORAGE", url)
    with pytest.raises(ServiceUnavailableError, match="no longer compatible with the table schema"):
        study_storage(tmp_path)
    upgrade("optuna", url)
    assert [study.study_name for study in study_storage(tmp_path).get_all_studies()] == ["night"]


def test_tables_of_a_later_version_are_told(tmp_path: Path) -> None:
    import optuna

    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    optuna.create_study(storage=url)
    execute(url, "UPDATE alembic_version SET version_num = 'v99.0.0.a'")
    with pytest.raises(TablesTooNewError, match=r"optuna: its tables are of a later version .*v99\.0\.0\.a"):
        upgrade("optuna", url)
