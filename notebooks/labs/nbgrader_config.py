# The course. nbgrader keeps the books; submissions are run by vos_lab.labs, in a sandbox (see README.md).
c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "vos_lab"
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
c.ClearSolutions.text_stub = "*(your answer)*"

c.Autograde.exporter_class = "vos_lab.labs.course.TextOnly"
c.Autograde.sanitize_preprocessors = ["nbgrader.preprocessors.CheckCellMetadata"]
c.Autograde.autograde_preprocessors = [
    "vos_lab.labs.course.Sandboxed",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Sandboxed.seconds = 5.0  # of computing, for each cell and each call
c.Sandboxed.wait = 40.0  # seconds to wait for it where the machine is crowded

c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "vos_lab.labs.course.KeepHidden",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
c.HTMLExporter.sanitize_html = True
c.ExportApp.plugin_class = "vos_lab.labs.course.ByExercise"
