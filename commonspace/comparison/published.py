"""Figures that were published on the four benchmarks: mAP over the whole ranking.

They are here to be shown beside figures that were measured. Nothing is computed with them but the
difference, and nothing is chosen by them.

Sources: Zhen, Hu, Wang, Peng: Deep Supervised Cross-modal Retrieval, CVPR 2019, the comparison on
each benchmark and the ablation on two of them; for the shallow features of Wikipedia a comparison
of 2020 (Data Analysis and Knowledge Discovery 4(5), pages 84-91).
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ABLATIONS", "BENCHMARKS", "COMPARISONS", "DEEP", "SHALLOW_WIKIPEDIA", "Published"]


@dataclass(frozen=True)
class Published:
    """A row of a published table.

    Args:
        method: as it is called there.
        row: what the same method is called here; None where there is none.
        average: of the two directions.
        directions: image to text, and text to image; None where the average alone is known.
    """

    method: str
    row: str | None
    average: float
    directions: tuple[float, float] | None = None


def _comparison(**figures: str) -> tuple[Published, ...]:
    rows = []
    for row, written in figures.items():
        method, here = _METHODS[row]
        first, second, average = (float(one) for one in written.split("/"))
        rows.append(Published(method, here, average, (first, second)))
    return tuple(rows)


_METHODS: Mapping[str, tuple[str, str | None]] = {
    "cca": ("CCA", "cca"),
    "mcca": ("MCCA", "mcca"),
    "mvda": ("MvDA", "mvda"),
    "mvda_vc": ("MvDA-VC", "mvda-vc"),
    "jrl": ("JRL", "jrl"),
    "cmdn": ("CMDN", None),
    "ccl": ("CCL", None),
    "dcca": ("DCCA", "dcca"),
    "dccae": ("DCCAE", None),
    "acmr": ("ACMR", "acmr"),
    "dscmr": ("DSCMR", "dscmr"),
    "jgrhml": ("JGRHML", None),
    "scm": ("SCM", "scm"),
    "jfssl": ("JFSSL", None),
}

DEEP = {"image": 4096, "text": 300}
"""The sizes of the features that the deep comparisons are on."""

BENCHMARKS = ("wikipedia", "pascal", "nuswide10k", "xmedianet")

COMPARISONS: Mapping[str, tuple[Published, ...]] = {
    "wikipedia": _comparison(
        cca=".134/.133/.134",
        mcca=".341/.307/.324",
        mvda=".337/.308/.323",
        mvda_vc=".388/.358/.373",
        jrl=".449/.418/.434",
        cmdn=".487/.427/.457",
        ccl=".504/.457/.481",
        dcca=".444/.396/.420",
        dccae=".435/.385/.410",
        acmr=".477/.434/.456",
        dscmr=".521/.478/.499",
    ),
    "pascal": _comparison(
        cca=".225/.227/.226",
        mcca=".664/.689/.677",
        mvda=".594/.626/.610",
        mvda_vc=".648/.673/.661",
        jrl=".527/.534/.531",
        cmdn=".544/.526/.535",
        ccl=".576/.561/.569",
        dcca=".678/.677/.678",
        dccae=".680/.671/.675",
        acmr=".671/.676/.673",
        dscmr=".710/.722/.716",
    ),
    "nuswide10k": _comparison(
        cca=".378/.394/.386",
        mcca=".448/.462/.455",
        mvda=".501/.526/.513",
        mvda_vc=".526/.557/.542",
        jrl=".586/.598/.592",
        cmdn=".492/.515/.504",
        ccl=".506/.535/.521",
        dcca=".532/.549/.540",
        dccae=".511/.540/.525",
        acmr=".588/.599/.593",
        dscmr=".611/.615/.613",
    ),
    "xmedianet": _comparison(
        cca=".598/.595/.597",
        mcca=".620/.616/.618",
        mvda=".651/.639/.645",
        mvda_vc=".650/.627/.638",
        jrl=".586/.578/.582",
        cmdn=".485/.516/.501",
        ccl=".537/.528/.533",
        dcca=".583/.596/.590",
        dccae=".594/.606/.600",
        acmr=".639/.639/.639",
        dscmr=".697/.693/.695",
    ),
}
"""The comparison of the DSCMR paper on each benchmark."""

ABLATIONS: Mapping[str, tuple[Published, ...]] = {
    "pascal": (
        Published("DSCMR without J1", "dscmr-no-j1", 0.607),
        Published("DSCMR without J2", "dscmr-no-j2", 0.715),
        Published("DSCMR without J3", "dscmr-no-j3", 0.687),  # printed .694: not the mean
        Published("DSCMR, J1 alone", "dscmr-j1-alone", 0.685),
    ),
    "nuswide10k": (
        Published("DSCMR without J1", "dscmr-no-j1", 0.265),
        Published("DSCMR without J2", "dscmr-no-j2", 0.611),
        Published("DSCMR without J3", "dscmr-no-j3", 0.538),
        Published("DSCMR, J1 alone", "dscmr-j1-alone", 0.520),
    ),
}
"""Its ablations, where there are any."""

SHALLOW_WIKIPEDIA = _comparison(
    cca=".255/.185/.220",
    jgrhml=".283/.212/.248",
    scm=".350/.250/.300",
    jfssl=".306/.228/.267",
)
"""On the original shallow features of Wikipedia: SIFT words, 128-d, and topics, 10-d."""
