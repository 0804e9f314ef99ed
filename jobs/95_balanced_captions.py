"""spark-submit jobs/95_balanced_captions.py RECIPE.yaml --work DIR [--set section.key=value]"""

from curation.cli import job

if __name__ == "__main__":
    job("balanced_captions")
