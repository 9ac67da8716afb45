"""``/tokens``: what programs show in place of a password."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from callcenter.desk.identity import TheDesk, requires
from callcenter.desk.problems import Problem, not_found
from callcenter.desk.tokens import LONGEST_NAME, BadToken, Token
from callcenter.model.access import Actor, Role, Scope
from callcenter.model.ids import SLUG

router = APIRouter(prefix="/api/v1", tags=["tokens"])
May = Annotated[Actor, requires(Scope.TOKENS)]
Slug = Annotated[str, Field(pattern="^" + SLUG.pattern.replace(r"\Z", "$"), max_length=64)]


class NewToken(BaseModel):
    """A token to be made; what is left out is all that the role may, of all that its maker sees, for ever."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Slug, Field(max_length=LONGEST_NAME, description="of whom or what it is, e.g. crm")]
    role: Role
    clients: list[Slug] | None = Field(default=None, max_length=1000, description="the companies that it sees")
    scopes: list[Scope] | None = None
    agent: Slug | None = Field(default=None, description="as which agent it works")
    expires_at: AwareDatetime | None = None


class TokenInfo(BaseModel):
    """What is known of a token."""

    id: str
    name: str
    role: Role
    clients: list[str] | None
    scopes: list[Scope] | None
    agent: str | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    used_at: datetime | None = Field(description="the last use, to a minute")
    revoked_at: datetime | None


class MadeToken(TokenInfo):
    """A new token."""

    token: str = Field(description="the token itself, shown only now: it is kept nowhere")


class TokenList(BaseModel):
    """Every token, the latest first."""

    items: list[TokenInfo]
    next: None = None


@router.get("/tokens")
async def tokens(desk: TheDesk, actor: May) -> TokenList:
    """The tokens that there are, and that there were."""
    return TokenList(items=[_info(token) for token in await desk.tokens.all() if _is_theirs(actor, token)])


@router.post("/tokens", status_code=201)
async def create_token(desk: TheDesk, actor: May, new: NewToken) -> MadeToken:
    """Make one, which never holds more than who makes it. A name serves once at a time."""
    try:
        secret, token = await desk.tokens.create(
            actor,
            new.name,
            new.role,
            clients=None if new.clients is None else frozenset(new.clients),
            scopes=None if new.scopes is None else frozenset(new.scopes),
            agent=new.agent or "",
            expires_at=new.expires_at,
        )
    except BadToken as error:
        taken = error.field == "name"
        raise Problem(409 if taken else 422, "conflict" if taken else "invalid", str(error), error.field) from None
    await desk.audit(actor, "token_create", target=token.name)
    return MadeToken(**_info(token).model_dump(), token=secret)


@router.delete("/tokens/{token}", status_code=204)
async def revoke_token(desk: TheDesk, actor: May, token: Slug) -> None:
    """End one, by its name or id: whoever shows it from now on is nobody."""
    there = [each for each in await desk.tokens.all() if token in (each.id, each.name) and each.revoked_at is None]
    if not there or not _is_theirs(actor, there[0]):
        raise not_found("token")
    await desk.tokens.revoke(there[0].id)
    await desk.audit(actor, "token_revoke", target=there[0].name)


def _is_theirs(actor: Actor, token: Token) -> bool:
    """Whether a token sees nothing that they do not see."""
    return actor.clients is None or (token.clients is not None and token.clients <= actor.clients)


def _info(token: Token) -> TokenInfo:
    return TokenInfo(
        id=token.id,
        name=token.name,
        role=token.role,
        clients=None if token.clients is None else sorted(token.clients),
        scopes=None if token.scopes is None else sorted(token.scopes),
        agent=token.agent or None,
        created_at=token.created_at,
        created_by=token.created_by,
        expires_at=token.expires_at,
        used_at=token.used_at,
        revoked_at=token.revoked_at,
    )
