"""The trigger form of `label_images`."""

from airflow.sdk import Param

from atoll.dag_params import experiment_param, optional_number

_MODEL, _IMAGES, _LABELS, _CHECK = "Model", "Images", "Labels", "Check before publishing"


def image_set_params() -> dict[str, Param]:
    """Which images, of which day, and how long to wait for them."""
    return {
        "image_set": Param(
            "digits",
            type="string",
            minLength=1,
            maxLength=200,
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$",
            title="Image set",
            description_md="Name of the folder under `image_sets/`.",
            section=_IMAGES,
        ),
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Day",
            description_md="For a run by hand. Empty: the day of the run's data interval, else today. Leave it empty in a "
            "backfill, where each run has its own.",
            section=_IMAGES,
        ),
        "wait_minutes": Param(
            60,
            type="integer",
            minimum=0,
            maximum=7 * 24 * 60,
            title="Wait for images (minutes)",
            description_md="Counted from the end of the day's interval, so that past days are decided at once.",
            section=_IMAGES,
        ),
        "if_missing": Param(
            "fail",
            type="string",
            enum=["fail", "skip"],
            values_display={"fail": "fail, so that somebody looks", "skip": "skip the day"},
            title="A day without images",
            description_md="What the run comes to when none have arrived by then.",
            section=_IMAGES,
        ),
        "sample": optional_number(
            "integer",
            "Sample",
            "Label only so many images, the same each time, and publish them as `<image set>-sample`. Empty: all.",
            _IMAGES,
            minimum=1,
            maximum=1_000_000,
        ),
        "variant": Param(
            None,
            type=["null", "string"],
            minLength=1,
            maxLength=50,
            pattern=r"^[A-Za-z0-9]+$",
            title="Publish beside the day, as",
            description_md="Empty: as the labels of the day. A word such as `challenger`: as `<image set>-challenger`, which "
            "leaves the day's labels alone. On the page of the day the two are then compared.",
            section=_IMAGES,
        ),
    }


def model_params() -> dict[str, Param]:
    """Which version of which model."""
    return {
        "model": experiment_param("Model", "Models carry the name of their experiment.", _MODEL),
        "model_policy": Param(
            "champion",
            type="string",
            enum=["champion", "as_of", "pinned"],
            values_display={
                "champion": "the champion now",
                "as_of": "who was champion when the day ended",
                "pinned": "the version below",
            },
            title="Version",
            description_md="In a backfill, *who was champion when the day ended* gives each day what it would have had then.",
            section=_MODEL,
        ),
        "model_version": optional_number(
            "integer", "Pinned version", "Its number. Empty: as chosen above.", _MODEL, minimum=1, maximum=2**31 - 1
        ),
    }


def label_params() -> dict[str, Param]:
    """What is kept of each image's scores."""
    return {
        "top_k": Param(
            5,
            type="integer",
            minimum=1,
            maximum=100,
            title="Labels per image",
            description_md="How many of the best labels to keep with their scores.",
            section=_LABELS,
        ),
        "min_score": Param(
            0.0,
            type="number",
            minimum=0,
            maximum=1,
            title="Minimum score",
            description_md="Labels below it are left out; an image with none goes to quarantine as `low_score`.",
            section=_LABELS,
        ),
    }


def check_params() -> dict[str, Param]:
    """How much a day may differ from the days before it."""
    return {
        "on_drift": Param(
            "fail",
            type="string",
            enum=["fail", "warn", "off"],
            values_display={
                "fail": "fail, and publish nothing",
                "warn": "publish, with a warning in the log",
                "off": "do not compare",
            },
            title="A day that differs too much",
            description_md="From the days before it that are published.",
            section=_CHECK,
        ),
        "compare_days": Param(
            7,
            type="integer",
            minimum=1,
            maximum=90,
            title="Days to compare with",
            description_md="How far to look back; days that are not published are left out.",
            section=_CHECK,
        ),
        "quarantine_rise": Param(
            20.0,
            type="number",
            minimum=0,
            maximum=100,
            title="Rise of the quarantine (percentage points)",
            description_md="By how much its share of the images may be higher.",
            section=_CHECK,
        ),
        "label_drift": Param(
            0.25,
            type="number",
            minimum=0.01,
            maximum=100,
            title="Drift of the labels",
            description_md="Largest population stability index: up to 0.1 is none, from 0.25 on a large drift. With few images "
            "the limit is higher, as far as chance alone can drift.",
            section=_CHECK,
        ),
        "confidence_drop": Param(
            10.0,
            type="number",
            minimum=0,
            maximum=100,
            title="Drop of the confidence (percentage points)",
            description_md="By how much the mean score of the labels may be lower.",
            section=_CHECK,
        ),
    }
