// Routes of security groups.
import type { Control } from "../control/control.ts";
import { parseGroupCommit, parseGroupPut } from "../model/parse.ts";
import { MATCH, type Route, jsonOf, matchOf, putAnswer } from "./route.ts";

export function policyRoutes({ control }: { readonly control: Control }): Route[] {
  return [
    {
      method: "PUT",
      path: "/v1/securitygroups/{name}",
      summary: "Makes a security group or changes its rules, for all who have it at once.",
      access: "admin",
      query: {},
      headers: { ...MATCH, "If-None-Match": "*: only if there is none." },
      body: "SecurityGroupPut",
      answers: { 200: "SecurityGroup", 201: "SecurityGroup" },
      handle: async (call) =>
        putAnswer(
          await control.write({
            verb: "put", kind: "securitygroup",
            name: call.params["name"] ?? "",
            spec: parseGroupPut(jsonOf(call)),
            ...matchOf(call),
          }),
        ),
    },
    {
      method: "POST",
      path: "/v1/securitygroups/{name}/commit",
      summary: "Hosts load the group again, even if they already have it: all, or these.",
      access: "admin",
      query: {},
      body: "SecurityGroupCommit",
      answers: { 200: "SecurityGroup" },
      handle: async (call) =>
        putAnswer(
          await control.write({
            verb: "commit-group",
            name: call.params["name"] ?? "",
            ...parseGroupCommit(jsonOf(call)),
          }),
        ),
    },
  ];
}
