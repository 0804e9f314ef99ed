"""spark-submit jobs/94_chosen_captions.py RECIPE.yaml --work DIR [--set section.key=value]"""

from curation.cli import job

if __name__ == "__main__":
    job("chosen_captions")
