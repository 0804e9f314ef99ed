"""spark-submit jobs/vocabulary.py RECIPE.yaml --out DIR [--lang LANG] [--inputs DIR] [--set section.key=value]"""

from curation.cli import vocabulary_job

if __name__ == "__main__":
    vocabulary_job()
