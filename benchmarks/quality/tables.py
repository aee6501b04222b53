"""The tables in Markdown: one for each case, and the summary."""

from quality.environments import OURS
from quality.judgement import METRICS, Judgement


def case_table(judged: Judgement) -> list[str]:
    """Return the table of one case."""
    lines = [
        f"\n### {judged.case.name}\n\n{judged.case.counts()}.\n",
        "| rank | | average precision | minus ours | within the first | AUC | minus ours | log loss | minus ours | CPU s | wall s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for rank, name in enumerate(judged.ranked("average_precision"), 1):
        precision, auc, loss = (judged.figure(name, metric) for metric in METRICS)
        within = "yes" if judged.within_first(name, "average_precision") else "no"
        cells = (precision.text, precision.difference_text, within, auc.text, auc.difference_text, loss.text)
        cpu, wall = judged.seconds(name)
        shown = f"**{name}**" if name == OURS else name
        lines.append(
            f"| {rank} | {shown} | {' | '.join(cells)} | {loss.difference_text} | {cpu:.1f} | {wall:.1f} |"
        )
    lines += [f"| | {name} | failed: {why} | | | | | | | | |" for name, why in judged.failed.items()]
    return lines


def summary(judgements: list[Judgement]) -> list[str]:
    """Return the table of all cases: where we stand beside the best of the others."""
    lines = [
        "\n## Summary\n",
        "Differences are ours minus the best other's, paired, with 95 % intervals over accounts; in log loss less is better. "
        "Within the first: first, or the interval of the difference to the first holds 0.\n",
        "| case | metric | ours | best other | | difference | rank | within the first |",
        "|---|---|---|---|---|---|---|---|",
    ]
    held = {metric: [0, 0, 0] for metric in METRICS}
    for judged in judgements:
        if OURS not in judged.names:
            lines.append(
                f"| {judged.case.name} | | failed: {judged.failed.get(OURS, 'not run')} | | | | | no |"
            )
            for count in held.values():
                count[2] += 1
            continue
        for metric in METRICS:
            ranked = judged.ranked(metric)
            others = [name for name in ranked if name != OURS]
            if not others:
                continue
            mine = judged.figure(OURS, metric, against=others[0])
            rank, within = ranked.index(OURS) + 1, judged.within_first(OURS, metric)
            held[metric][0] += rank == 1
            held[metric][1] += within
            held[metric][2] += 1
            lines.append(
                f"| {judged.case.name} | {metric.replace('_', ' ')} | {mine.value:.3f} | {others[0]} | "
                f"{judged.figure(others[0], metric).value:.3f} | {mine.difference_text} | {rank} of {len(ranked)} | "
                f"{'yes' if within else 'no'} |"
            )
    lines.append("")
    lines += [
        f"{metric.replace('_', ' ').capitalize()}: first in {first} of {count} cases, first or within the interval of the first in {within}."
        for metric, (first, within, count) in held.items()
    ]
    names = dict.fromkeys(name for judged in judgements for name in judged.runs)
    versions = dict.fromkeys(r.versions for j in judgements for n in j.names if n != OURS for r in j.runs[n])
    lines += ["", f"Others: {', '.join(versions)}."]
    if len(judgements) > 1 and len(names) > 1:
        lines += ["", "| | mean rank, average precision | mean rank, log loss | cases |", "|---|---|---|---|"]
        for name in names:
            ranks = {
                metric: [j.ranked(metric).index(name) + 1 for j in judgements if name in j.names]
                for metric in METRICS
            }
            if ranks["log_loss"]:
                n = len(ranks["log_loss"])
                lines.append(
                    f"| {name} | {sum(ranks['average_precision']) / n:.1f} | {sum(ranks['log_loss']) / n:.1f} | {n} |"
                )
    return lines
