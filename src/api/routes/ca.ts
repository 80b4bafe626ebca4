// Routes of the cluster's CA: what it is, and how it is rotated.
import type { Control } from "../../control/control.ts";
import type { CaState } from "../../model/ca.ts";
import { Fault } from "../../model/fault.ts";
import { type Parts, type Route, flagIn } from "../route.ts";

export function caRoutes({ control }: Parts): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/ca",
      summary: "The cluster's CA; while it is rotated, also the one before, and hosts that have only that.",
      access: "admin",
      answers: { 200: "Ca" },
      handle: () => ({ body: shown(control, authorityOf(control).show()) }),
    },
    {
      method: "POST",
      path: "/v1/ca/rotate",
      summary: "Another CA signs from now on; both are trusted. Hosts ask for certificates of it by themselves.",
      access: "admin",
      answers: { 200: "Ca" },
      handle: async ({ caller }) => ({ body: shown(control, await authorityOf(control).rotate(caller)) }),
    },
    {
      method: "POST",
      path: "/v1/ca/drop",
      summary: "Ends a rotation: the CA before is trusted no more. Refused while hosts have only that, unless forced.",
      access: "admin",
      query: { force: "true: although hosts are missing; they need a join token then." },
      answers: { 200: "Ca" },
      async handle(call) {
        const state = await authorityOf(control).drop(call.caller, flagIn(call, "force"));
        return { body: shown(control, state) };
      },
    },
  ];
}

/** With the join tokens that name another CA. */
function shown({ joinTokens }: Control, state: CaState): CaState {
  const others = joinTokens.list().filter(({ ca }) => ca !== "current");
  return others.length === 0 ? state : { ...state, joinTokens: others.map(({ name }) => name) };
}

function authorityOf({ authority }: Control) {
  if (authority !== undefined) return authority;
  throw new Fault("unsupported", { what: "this server has no CA", fix: "start it as `weft server`" });
}
