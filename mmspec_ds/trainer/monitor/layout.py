"""The charts of TensorBoard's page "Custom scalars": which curves of a run each of them shows."""

Chart = list[object]
Layout = dict[str, dict[str, Chart]]
"""Category, then chart, then ["Multiline", tags]; tags are regular expressions, matched from the beginning."""


def lines(*tags: str) -> Chart:
    """A chart of the curves with these tags."""
    return ["Multiline", list(tags)]


def make_layout(of_task: Layout) -> Layout:
    """The charts that every run has, with those of a task between them; a task may add to a category."""
    layout: Layout = {
        "losses": {
            "task loss, training and validation": lines("loss/train$", "loss/validation$"),
            "whole objective": lines("loss/total$"),
            "norm of the gradient": lines("gradient/norm$"),
        },
        "schedules": {"learning rate": lines("schedule/learning_rate$")},
    }
    for category, charts in of_task.items():
        layout[category] = layout.get(category, {}) | charts
    layout["resources"] = {
        "tokens per second": lines("throughput/tokens_per_second$"),
        "samples per second": lines("throughput/samples_per_second$"),
        "GFLOP per second": lines("resources/gigaflops_per_second$"),
        "MFLOP per token": lines("resources/megaflops_per_token$"),
        "peak memory, GiB": lines("resources/memory_gib$"),
    }
    return layout
