"""A run folder as one self-contained HTML file: numbers, curves, clips with questions and answers, configuration.

`write_report` reads only files of the folder (`zoo.report.files` names them) and says which of them are missing, so
that an interrupted run has a report too. The page asks nothing of the network: styles, curves, videos and frames are
inside. Free of torch.
"""

from zoo.report.page import write_report

__all__ = ["write_report"]
