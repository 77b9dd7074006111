"""`topo-sweep cluster`: nodes of Ray on this machine, and those of a cluster."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import click

from nas_core.errors import InputError
from topo_sweep.cli.shared.common import address_option, print_records, say, text_or_json_option
from topo_sweep.cli.shared.options import FROM_ZERO, option, takes

_HOST_HELP = "Address of a network card; Ray then listens on all.  [default: this machine alone]"


@dataclass(frozen=True, kw_only=True)
class StartRequest:
    """The node that is to be started."""

    head: bool = option(is_flag=True, help="Begin a cluster.")
    join: str | None = option(metavar="HOST:PORT", help="Join the cluster of this head.")
    host: str | None = option(metavar="ADDRESS", help=_HOST_HELP)
    port: int = option(
        type=click.IntRange(0, 65535),
        default=6379,
        show_default=True,
        help="Of a head; 0 takes one that is free.",
    )
    num_cpus: int | None = option(type=FROM_ZERO, help="To lend.  [default: all]")
    num_gpus: int | None = option(type=FROM_ZERO, help="To lend.  [default: all]")
    insecure: bool = option(
        is_flag=True, help="Begin a cluster without a token, or do not warn of one."
    )


@click.group()
def cluster() -> None:
    """Start, join, look at and stop a Ray cluster that lets in only who has its token.

    \b
    Example, a head and a second machine that has a copy of its token:
      topo-sweep cluster start --head --host 10.0.0.1
      topo-sweep cluster start --join 10.0.0.1:6379
    """


@cluster.command()
@takes(StartRequest)
def start(request: StartRequest) -> None:
    """Start a node here, which goes on when this command has ended.

    \b
    Examples:
      topo-sweep cluster start --head
      topo-sweep cluster start --join HOST:6379 --num-cpus 8
    """
    from topo_sweep.runs.on_ray.local_nodes import NodeRequest, start_node
    from topo_sweep.runs.on_ray.tokens import open_warning

    if request.head == (request.join is not None):
        raise InputError("give --head to begin a cluster, or --join HOST:PORT to join one")
    node = start_node(
        NodeRequest(
            joins=request.join,
            host=request.host,
            port=request.port,
            cpus=request.num_cpus,
            gpus=request.num_gpus,
            insecure=request.insecure,
        )
    )
    if node.token is None and not request.insecure:
        say(open_warning(f"the cluster at {node.address}"))
    if node.token is not None:
        say(f"token: {node.token}; whoever has it can run code as you")
    if request.host is not None:
        say("Ray listens on every interface of this machine, whatever --host is")
    click.echo(f"{'head' if node.is_head else 'node of the cluster'} at {node.address}")


@cluster.command()
def stop() -> None:
    """End the nodes that `topo-sweep cluster start` started here, and nobody else's.

    \b
    Example:
      topo-sweep cluster stop
    """
    from topo_sweep.runs.on_ray.local_nodes import stop_nodes

    stopped = stop_nodes()
    for node in stopped:
        click.echo(f"stopped: {'head' if node.is_head else 'node of the cluster'} {node.address}")
    if not stopped:
        say("nothing runs here that `topo-sweep cluster start` started")


@cluster.command()
@address_option
@click.option("--insecure", is_flag=True, help="Do not warn of a cluster without a token.")
@text_or_json_option
def info(address: str | None, output_format: str, *, insecure: bool) -> None:
    """Print the nodes of a cluster, what each has, and whether it asks for a token.

    \b
    Example:
      topo-sweep cluster info --address HOST:6379
    """
    from topo_sweep.runs.on_ray.cluster import asks_for_token, connected
    from topo_sweep.runs.on_ray.nodes import nodes_of_now, nodes_table

    with connected(cluster=True, address=address, verbose=False, insecure=insecure):
        nodes, token = nodes_of_now(), asks_for_token()
    said = f"token: {'the cluster asks for one' if token else 'none, anybody is let in'}"
    record = {"token": token, "nodes": [asdict(node) for node in nodes]}
    print_records(record, output_format, f"{nodes_table(nodes)}\n{said}")
