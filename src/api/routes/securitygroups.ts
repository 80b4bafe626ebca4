// Routes of security groups.
import { parseGroupCommit } from "../../model/parse.ts";
import type { Parts } from "../parts.ts";
import { type Route, jsonOf, putAnswer } from "../route.ts";

export function groupRoutes({ control }: Parts): Route[] {
  return [
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
