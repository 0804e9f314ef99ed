"""spark-submit jobs/92_captions.py RECIPE.yaml --work DIR [--set section.key=value]"""

from curation.cli import job

if __name__ == "__main__":
    job("captions")
