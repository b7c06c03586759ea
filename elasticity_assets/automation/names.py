"""What the definitions of one project are called: as they are written, or under a prefix beside others' definitions.

A Dagster project holds whatever its owner likes: other assets, and several of these projects. Keys of assets are
prefixed there, and so are the names of everything else that has to be unique: operations, jobs, schedules, sensors,
groups and resources.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.decorators.op_decorator import DecoratedOpFunction
from dagster._core.definitions.utils import DEFAULT_IO_MANAGER_KEY

SEPARATOR = "_"


@dataclass(frozen=True)
class Names:
    """Names under a prefix.

    Attributes
    ----------
    prefix : tuple of str
        Before each asset's key; empty where the project stands alone.
    """

    prefix: tuple[str, ...] = ()

    def of(self, name: str) -> str:
        """Name a job, schedule, sensor, group, operation or resource."""
        return SEPARATOR.join([*self.prefix, name])

    def key(self, name: str) -> dg.AssetKey:
        """Key of an asset."""
        return dg.AssetKey([*self.prefix, name])


STANDING_ALONE = Names()
"""Names as they are written."""


def own_key(context: dg.AssetExecutionContext, name: str) -> dg.AssetKey:
    """Key, with its prefix, of one of the assets that a step makes."""
    return next(key for key in context.assets_def.keys if key.path[-1] == name)


def under_prefix(assets: list[dg.AssetsDefinition], names: Names) -> list[dg.AssetsDefinition]:
    """Rename assets and asset checks, with all that they ask for of each other; what they do stays.

    Parameters
    ----------
    assets : list of AssetsDefinition
        All of a project.
    names : Names
    """
    if not names.prefix:
        return assets
    keys = {key: names.key(key.path[-1]) for asset in assets for key in asset.keys | _checked(asset)}
    return [_renamed(asset, names, keys) for asset in assets]


def _checked(asset: dg.AssetsDefinition) -> set[dg.AssetKey]:
    return {spec.asset_key for spec in asset.check_specs}


def _renamed(
    asset: dg.AssetsDefinition, names: Names, keys: dict[dg.AssetKey, dg.AssetKey]
) -> dg.AssetsDefinition:
    attributes = {**asset.get_attributes_dict(), "node_def": _renamed_operation(asset.op, names)}
    renamed = type(asset).dagster_internal_init(**attributes).with_attributes(asset_key_replacements=keys)
    return renamed.map_asset_specs(
        lambda spec: spec.replace_attributes(group_name=names.of(spec.group_name or "default"))
    )


def _renamed_operation(operation: dg.OpDefinition, names: Names) -> dg.OpDefinition:
    """Let an operation, and the resources that it asks for, have names under the prefix."""
    function = operation.compute_fn
    if not isinstance(function, DecoratedOpFunction):
        raise TypeError(f"{operation.name} is no function")
    resources = {parameter.name: names.of(parameter.name) for parameter in function.get_resource_args()}
    outs = [(definition.name, dg.Out.from_definition(definition)) for definition in operation.output_defs]
    return dg.OpDefinition.dagster_internal_init(
        compute_fn=DecoratedOpFunction(_with_names(function.decorated_fn, resources)),
        name=names.of(operation.name),
        ins={definition.name: dg.In.from_definition(definition) for definition in operation.input_defs},
        outs={name: out._replace(io_manager_key=_manager(out, names)) for name, out in outs},
        description=operation.description,
        config_schema=operation.config_schema,
        required_resource_keys={names.of(name) for name in operation.required_resource_keys},
        tags=operation.tags,
        version=None,
        retry_policy=operation.retry_policy,
        code_version=None,  # the assets have their own
        pool=operation.pool,
    )


def _manager(out: dg.Out, names: Names) -> str:
    key = out.io_manager_key
    return key if key == DEFAULT_IO_MANAGER_KEY else names.of(key)


def _with_names(function: Callable[..., Any], renamed: dict[str, str]) -> Callable[..., Any]:
    """Give some of a function's parameters other names; Dagster finds resources by the names of parameters."""
    former = {new: old for old, new in renamed.items()}

    def call(*positional: Any, **given: Any) -> Any:
        return function(*positional, **{former.get(name, name): value for name, value in given.items()})

    signature = inspect.signature(function)
    call.__name__, call.__doc__ = function.__name__, function.__doc__
    call.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            parameter.replace(name=renamed.get(parameter.name, parameter.name))
            for parameter in signature.parameters.values()
        ],
        return_annotation=inspect.Signature.empty,  # Dagster would look for a tuple where there are several assets
    )
    call.__annotations__ = {
        renamed.get(name, name): annotation
        for name, annotation in function.__annotations__.items()
        if name != "return"
    }
    return call
