from tests.support.passwords import cheap_passwords  # noqa: F401  pytest finds it by its name
