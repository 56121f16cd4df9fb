"""The instructor's two commands: `python -m vos_lab.labs release` (make labs) and `python -m vos_lab.labs grade lab1 --jobs 2`
(make grade LAB=lab1 JOBS=2)."""

import argparse
import json
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

COURSE = Path(__file__).parents[2] / "notebooks" / "labs"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m vos_lab.labs", description=__doc__)
    parser.add_argument("--course", type=Path, default=COURSE, help="the folder of nbgrader_config.py")
    commands = parser.add_subparsers(dest="command", required=True)
    release = commands.add_parser("release", help="make the students' versions from source/")
    release.add_argument("labs", nargs="*", help="all labs unless named")
    grade = commands.add_parser("grade", help="grade the submissions of a lab; goes on where it was stopped")
    grade.add_argument("lab")
    grade.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="submissions at a time")
    grade.add_argument("--force", action="store_true", help="also those that are graded")
    given = parser.parse_args(arguments)
    course = Course(given.course)
    return course.release(given.labs) if given.command == "release" else course.grade(given.lab, given.jobs, given.force)


class Course:
    """An nbgrader course in a folder."""

    def __init__(self, folder: Path):
        from nbgrader.apps.api import NbGraderAPI
        from nbgrader.coursedir import CourseDirectory
        from traitlets.config import PyFileConfigLoader

        self.folder = folder.resolve()
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader calls alembic
        config = PyFileConfigLoader("nbgrader_config.py", path=str(self.folder)).load_config()
        config.CourseDirectory.root = str(self.folder)
        self.directory = CourseDirectory(config=config)
        self.nbgrader = NbGraderAPI(self.directory, config=config)

    def release(self, labs: list[str]) -> int:
        faults = 0
        for lab in labs or sorted(path.name for path in self.folder.glob("source/*")):
            faults += report(lab, self.nbgrader.generate_assignment(lab, force=True))
            shutil.rmtree(self.folder / "release" / lab / "case", ignore_errors=True)  # what running the source left behind
        return faults

    def grade(self, lab: str, jobs: int, force: bool = False) -> int:
        """Run the submissions, `jobs` at a time; enter each into nbgrader's books as it comes, one after the other."""
        if sys.platform == "win32":
            raise SystemExit("grading needs Linux (or macOS): use the container of notebooks/labs/README.md")
        from . import confine, course, grading, leaderboard

        known = {path.stem: course.originals(self.directory.db_url, lab, path.stem) for path in self.sources(lab)}
        limits = course.Sandboxed(config=self.nbgrader.config).limits
        students = sorted(path.parent.name for path in self.folder.glob(f"submitted/*/{lab}"))
        print(f"{len(students)} submissions of {lab}, {jobs} at a time. {confine.report()}.", flush=True)
        grading.nursery()

        def run(student: str) -> list[Path]:
            return [self.run(lab, student, name, cells, limits, force) for name, cells in known.items()]

        began, faults, done = time.monotonic(), 0, 0
        with ThreadPoolExecutor(jobs) as pool:
            running = {pool.submit(run, student): student for student in students}
            for finished in as_completed(running):
                student = running[finished]
                try:
                    faults += self.enter(lab, student, finished.result())
                except Exception as error:
                    print(f"{student}: not graded, {type(error).__name__}: {error}", file=sys.stderr)
                    faults += 1
                done += 1
                print(f"\r{done} of {len(students)}", end="", flush=True)
        seconds = time.monotonic() - began
        self.export()
        leaderboard.write_table(self.folder, lab)
        print(f"\r{done} in {seconds:.0f} s. Scores: {self.folder / 'gradebook.csv'}; feedback: {self.folder / 'feedback'}")
        return faults

    def sources(self, lab: str) -> list[Path]:
        found = sorted(self.folder.glob(f"source/{lab}/*.ipynb"))
        if not found:
            raise SystemExit(f"there is no lab '{lab}' in {self.folder / 'source'}")
        return found

    def run(self, lab: str, student: str, name: str, cells: dict, limits, force: bool) -> Path:
        """Grade one notebook in the sandbox, or find it graded: the file with the result."""
        from . import course

        solutions = course.solutions_of(self.folder / "source" / lab / f"{name}.ipynb")
        submitted = self.folder / "submitted" / student / lab
        notebook = course.restored(submitted / f"{name}.ipynb", cells)
        result = course.result_file(self.folder, lab, student, name)
        course.graded_by_sandbox(notebook, solutions, limits, course.pictures_beside(submitted), result, force)
        return result

    def enter(self, lab: str, student: str, results: list[Path]) -> int:
        """Have nbgrader write scores and feedback, unless it has."""
        contents = [json.loads(path.read_text()) for path in results]
        if all(content.get("entered") for content in contents):
            return 0
        faults = report(student, self.nbgrader.autograde(lab, student, force=True))
        faults += faults or report(student, self.nbgrader.generate_feedback(lab, student, force=True))
        if not faults:
            for path, content in zip(results, contents):
                path.write_text(json.dumps(content | {"entered": True}))
        return faults

    def export(self) -> None:
        from nbgrader.api import Gradebook

        from . import course

        with Gradebook(self.directory.db_url) as book:
            course.ByExercise(to=str(self.folder / "gradebook.csv")).export(book)


def report(what: str, outcome: dict) -> int:
    if outcome["success"]:
        return 0
    print(f"{what}: {outcome.get('error', '')}\n{outcome.get('log', '')}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
