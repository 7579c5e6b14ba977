"""Figures: small, static, the same everywhere, and the same bytes for the same data.

The rules every chart here keeps:

- **It shows and never judges.** Numbers come in as plain sequences; onset, threshold and ranking are
  the caller's. Missing values and missing buckets are gaps, never lines drawn across.
- **Readable by everyone.** Okabe–Ito colours, and never colour alone: direct labels, filled against
  hollow, dashes. Light and dark are inside the SVG; text grows where the figure is shown narrow.
- **Honest axes.** Units on the axis, times in UTC with their day, log scale said where it is used.
- **Self-contained and quiet.** No script, no link, no outside font, text from data escaped and made
  visible; at most 40 KB.

matplotlib is imported on the first call, not with this package.
"""

from rbnb.plots.bars import segment_ranking, stage_excess
from rbnb.plots.canvas import Figure
from rbnb.plots.lines import latency_over_time, metric_panel
from rbnb.plots.scatter import load_comparison

__all__ = [
    "Figure",
    "latency_over_time",
    "load_comparison",
    "metric_panel",
    "segment_ranking",
    "stage_excess",
]
