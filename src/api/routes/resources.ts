// The routes that every kind of resource has, by its record: list, read, put, delete.
import { pluralOf } from "../../model/kind.ts";
import {
  ALL_KINDS,
  DELETABLE_KINDS,
  type DeletableKind,
  type Kind,
  WRITABLE_KINDS,
  type WritableKind,
  putOf,
  typeNameOf,
} from "../../model/kinds.ts";
import type { ApplyItem } from "../../model/input.ts";
import { parsePut } from "../../model/parse.ts";
import { PAGE_DEFAULT, PAGE_MAX, pageOf } from "../page.ts";
import type { Parts } from "../parts.ts";
import {
  FORCE,
  MATCH,
  type Route,
  flagIn,
  jsonOf,
  matchOf,
  missing,
  numberIn,
  putAnswer,
  viewerOf,
  withEtag,
} from "../route.ts";

export function resourceRoutes(parts: Parts): Route[] {
  return [
    ...ALL_KINDS.flatMap((kind) => [listRoute(kind, parts), readRoute(kind, parts)]),
    ...WRITABLE_KINDS.map((kind) => putRoute(kind, parts)),
    ...DELETABLE_KINDS.map((kind) => deleteRoute(kind, parts)),
  ];
}

function listRoute(kind: Kind, { control }: Parts): Route {
  const plural = pluralOf(kind);
  return {
    method: "GET",
    path: `/v1/${plural}`,
    summary: `All ${plural} that the caller may see.`,
    access: "viewer",
    answers: { 200: `${typeNameOf(kind)}Page` },
    query: {
      limit: `At most so many (${PAGE_DEFAULT} by default, ${PAGE_MAX} at most).`,
      cursor: "Only what follows; from the page before.",
    },
    async handle(call) {
      const limit = numberIn(call, "limit", 1, PAGE_MAX) ?? PAGE_DEFAULT;
      return { body: pageOf(await control.list(kind, viewerOf(call), { after: call.query["cursor"] ?? "", limit })) };
    },
  };
}

function readRoute(kind: Kind, { control }: Parts): Route {
  return {
    method: "GET",
    path: `/v1/${pluralOf(kind)}/{name}`,
    summary: `One ${kind}.`,
    access: "viewer",
    query: {},
    answers: { 200: typeNameOf(kind) },
    async handle(call) {
      const name = call.params["name"] ?? "";
      const resource = await control.find(kind, name, viewerOf(call));
      if (resource !== undefined) return withEtag(200, resource);
      throw missing(kind, name);
    },
  };
}

function putRoute(kind: WritableKind, { control }: Parts): Route {
  const { summary, force } = putOf(kind);
  const type = typeNameOf(kind);
  return {
    method: "PUT",
    path: `/v1/${pluralOf(kind)}/{name}`,
    summary,
    access: "admin",
    query: force === undefined ? {} : { force },
    headers: { ...MATCH, "If-None-Match": "*: only if there is none." },
    body: `${type}Put`,
    answers: { 200: type, 201: type },
    async handle(call) {
      const spec = parsePut(kind, jsonOf(call));
      // The input is the kind's.
      const item = { kind, name: call.params["name"] ?? "", spec } as ApplyItem;
      return putAnswer(await control.write({ verb: "put", ...item, force: flagIn(call, "force"), ...matchOf(call) }));
    },
  };
}

function deleteRoute(kind: DeletableKind, { control }: Parts): Route {
  return {
    method: "DELETE",
    path: `/v1/${pluralOf(kind)}/{name}`,
    summary: `Deletes a ${kind}; refused while it is in use, unless forced.`,
    access: "admin",
    query: FORCE,
    headers: MATCH,
    answers: { 200: "Done" },
    async handle(call) {
      const name = call.params["name"] ?? "";
      const { revision } = await control.write({
        verb: "delete",
        kind,
        name,
        force: flagIn(call, "force"),
        ...matchOf(call),
      });
      return { body: { revision } };
    },
  };
}
