"""Read first: the stages, in order. Each reads what those before it published, and nothing else."""

from __future__ import annotations

from curation.recipe import Captions as CaptionsSection
from curation.recipe import Recipe
from curation.runner.stage import Stage
from curation.stages.balance import Balance
from curation.stages.balanced_captions import BalancedCaptions
from curation.stages.caption_scores import CaptionScores
from curation.stages.captions import Captions
from curation.stages.chosen_captions import ChosenCaptions
from curation.stages.clips import Clips
from curation.stages.count import Count
from curation.stages.draw import Draw
from curation.stages.duplicates import Duplicates
from curation.stages.entry_probabilities import EntryProbabilities
from curation.stages.extract import Extract
from curation.stages.fetch import Fetch
from curation.stages.kept_clips import KeptClips
from curation.stages.manifest import ManifestStage
from curation.stages.match import Match
from curation.stages.near import Near
from curation.stages.near_clips import NearClips
from curation.stages.pairs import Pairs
from curation.stages.rebalance import Rebalance
from curation.stages.samples import Samples
from curation.stages.scenes import Scenes
from curation.stages.scores import Scores
from curation.stages.shards import Shards
from curation.stages.source_files import SourceFiles
from curation.stages.survive import Survive
from curation.stages.term_counts import TermCounts
from curation.stages.terms import Terms
from curation.stages.vocabulary import Vocabulary

STAGES: tuple[Stage, ...] = (
    Extract(),  # archives, tables       -> candidates     one unit per file
    Pairs(),  # candidates             -> pairs          the one shuffle, into media buckets
    Match(),  # pairs, vocabularies    -> matches        per bucket
    Count(),  # partial counts         -> entry_counts   per vocabulary
    Draw(),  # matches, entry_counts  -> draws          per bucket; independent of any threshold
    Balance(),  # draws, matches, pairs  -> kept_pairs     per bucket
)

VIDEO_STAGES: tuple[Stage, ...] = (
    Scenes(),  # media, videos          -> scenes         per unit of fetched videos
    Clips(),  # scenes, media, videos  -> clips, pieces  per unit
    Scores(),  # clips                  -> scores         per unit
    NearClips(),  # clips                  -> clip_groups    per run of the hash's bits
    KeptClips(),  # scores, clip_groups ... -> kept_clips     in one piece
)
"""What follows fetched videos where the recipe has a section clips."""

MEDIA_STAGES: tuple[Stage, ...] = (
    Fetch(),  # kept_pairs             -> media, videos  per list of planned media
    Near(),  # media, kept_pairs      -> duplicate_groups  by a hash of what copies share
    Duplicates(),  # duplicate_groups       -> duplicates     in one piece
    *VIDEO_STAGES,
    Survive(),  # kept_pairs, media ...  -> survivors      per bucket
    Rebalance(),  # survivors              -> final_pairs    per bucket
    Samples(),  # final_pairs, media, clips -> samples     per bucket; shuffles texts of copies
)
"""What follows the selection where the recipe has a section fetch."""

CAPTION_STAGES: tuple[Stage, ...] = (
    Captions(),  # samples, videos        -> captions       per bucket
    CaptionScores(),  # captions, samples -> caption_scores per bucket; where the recipe asks for similarities
    ChosenCaptions(),  # captions ...     -> chosen_captions  per bucket
    BalancedCaptions(),  # chosen_captions -> balanced_captions  per bucket; where the recipe balances them
)
"""What follows where the recipe has a section captions."""

MANIFEST_STAGES: tuple[Stage, ...] = (
    ManifestStage(),  # samples, captions ... -> manifest  per bucket
    EntryProbabilities(),  # rebalance, manifest -> entry_probabilities  in one piece
)
"""What ends every run that fetches: what training jobs read."""

EXPORT_STAGES: tuple[Stage, ...] = (Shards(),)  # manifest -> shards: tars for trainers, a unit each
"""What follows where the recipe has a section shards."""

ALL_STAGES = STAGES + MEDIA_STAGES + CAPTION_STAGES + MANIFEST_STAGES + EXPORT_STAGES


def stages_of(recipe: Recipe) -> tuple[Stage, ...]:
    """The stages that a recipe asks for."""
    if recipe.fetch is None:
        return STAGES
    left_out = () if recipe.clips is not None else VIDEO_STAGES
    left_out += tuple(stage for stage in CAPTION_STAGES if not _is_asked_for(stage, recipe.captions))
    left_out += () if recipe.shards is not None else EXPORT_STAGES
    return tuple(stage for stage in ALL_STAGES if stage not in left_out)


def _is_asked_for(stage: Stage, captions: CaptionsSection | None) -> bool:
    if captions is None:
        return False
    if isinstance(stage, CaptionScores):
        return captions.similarity is not None
    return captions.balance is not None or not isinstance(stage, BalancedCaptions)


VOCABULARY_STAGES: tuple[Stage, ...] = (
    SourceFiles(),  # files of the sources   -> source_files   one unit per file
    TermCounts(),  # dumps, page views      -> term_counts    per part of a dump, per file of views
    Terms(),  # term_counts            -> terms          the one shuffle, by a hash of the term
    Vocabulary(),  # terms, lists, wordnets -> vocabulary     in one piece
)
"""The stages of `curation vocab build`, which make what Match reads."""
