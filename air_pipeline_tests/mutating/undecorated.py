"""Functions without their decorators, which mutmut leaves alone: each is decorated by a call after it instead."""

import libcst as cst


def undecorated(source: str) -> str:
    """The same program: `@rule(...) def rate` as `def rate` and `rate = rule(...)(rate)`."""
    return cst.parse_module(source).visit(_Undecorated()).code


class _Undecorated(cst.CSTTransformer):
    def leave_FunctionDef(  # noqa: N802 - libcst's name
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef | cst.FlattenSentinel[cst.BaseStatement]:
        decorated: cst.BaseExpression = updated_node.name
        for decorator in reversed(updated_node.decorators):
            decorated = cst.Call(decorator.decorator, [cst.Arg(decorated)])
        if decorated is updated_node.name:
            return updated_node
        name = cst.Assign([cst.AssignTarget(updated_node.name)], decorated)
        bare = updated_node.with_changes(decorators=[])
        return cst.FlattenSentinel([bare, cst.SimpleStatementLine([name])])
