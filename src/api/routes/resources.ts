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
import { parseSelector } from "../../model/selector.ts";
import {
  FORCE,
  LIMIT,
  MATCH,
  type Parts,
  type Route,
  flagIn,
  jsonOf,
  limitIn,
  matchOf,
  missing,
  viewerOf,
  withEtag,
  LARGE_BODY,
} from "../route.ts";

export function resourceRoutes(parts: Parts): Route[] {
  return [
    ...ALL_KINDS.flatMap((kind) => [listRoute(kind, parts), readRoute(kind, parts)]),
    ...WRITABLE_KINDS.map(putRoute),
    ...DELETABLE_KINDS.map(deleteRoute),
  ];
}

/**
 * In pages, with the last name as the cursor. Each page is of one revision and names it; pages of one list may have
 * different ones. A resource that exists all the time is in exactly one page.
 */
function listRoute(kind: Kind, { control }: Parts): Route {
  const plural = pluralOf(kind);
  return {
    method: "GET",
    path: `/v1/${plural}`,
    summary: `All ${plural} that the caller may see.`,
    access: "viewer",
    answers: { 200: `${typeNameOf(kind)}Page` },
    query: {
      ...LIMIT,
      cursor: "Only what follows; from the page before.",
      labels: "Only those with these labels: tier=web,env!=test,rack in (r1,r2),!old.",
    },
    async handle(call) {
      const selector = parseSelector(call.query["labels"] ?? "", "?labels");
      const page = { after: call.query["cursor"] ?? "", limit: limitIn(call), selector };
      const { revision, items, hasMore } = await control.list(kind, viewerOf(call), page);
      return { body: { revision, items, ...(hasMore ? { cursor: items.at(-1)?.name } : {}) } };
    },
  };
}

function readRoute(kind: Kind, { control }: Parts): Route {
  return {
    method: "GET",
    path: `/v1/${pluralOf(kind)}/{name}`,
    summary: `One ${kind}.`,
    access: "viewer",
    answers: { 200: typeNameOf(kind) },
    async handle(call) {
      const resource = await control.find(kind, call.name, viewerOf(call));
      if (resource !== undefined) return withEtag(200, resource);
      throw missing(kind, call.name);
    },
  };
}

function putRoute(kind: WritableKind): Route {
  const { summary, force } = putOf(kind);
  const type = typeNameOf(kind);
  return {
    method: "PUT",
    path: `/v1/${pluralOf(kind)}/{name}`,
    summary,
    access: "user",
    query: force === undefined ? {} : { force },
    headers: { ...MATCH, "If-None-Match": "*: only if there is none." },
    body: `${type}Put`,
    bodyLimit: LARGE_BODY,
    answers: { 200: type, 201: type },
    write(call) {
      // The input is the kind's.
      const item = { kind, name: call.name, spec: parsePut(kind, jsonOf(call)) } as ApplyItem;
      return { verb: "put", ...item, force: flagIn(call, "force"), ...matchOf(call) };
    },
  };
}

function deleteRoute(kind: DeletableKind): Route {
  return {
    method: "DELETE",
    path: `/v1/${pluralOf(kind)}/{name}`,
    summary: `Deletes a ${kind}; refused while it is in use, unless forced.`,
    access: "user",
    query: FORCE,
    headers: MATCH,
    answers: { 200: "Done" },
    write: (call) => ({ verb: "delete", kind, name: call.name, force: flagIn(call, "force"), ...matchOf(call) }),
  };
}
