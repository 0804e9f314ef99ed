"""spark-submit jobs/98_entry_probabilities.py RECIPE.yaml --work DIR [--set section.key=value]"""

from curation.cli import job

if __name__ == "__main__":
    job("entry_probabilities")
