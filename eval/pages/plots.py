"""How every plot looks: the report page's and a frontier's."""

STYLE = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.alpha": 0.25, "svg.fonttype": "none", "svg.hashsalt": "its-eval",
}  # fmt: skip
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b08a00", "#56b4e9", "#7a5195", "#8a8a8a")
"""Okabe and Ito's colours, which the colour-blind tell apart, darker where they would be pale."""

MARKS = "osD^vPX*"
"""Each line has a mark of its own too, so that nothing is told by colour alone."""
