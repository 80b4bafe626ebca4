// Routes of join tokens: what lets new hosts in.
import { parseJoinTokenRequest } from "../../model/parse.ts";
import { type Parts, type Route, jsonOf } from "../route.ts";

export function joinTokenRoutes({ control }: Parts): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/jointokens",
      summary: "Join tokens, without their values: how often each was used, and by which hosts.",
      access: "admin",
      answers: { 200: "JoinTokens" },
      handle: () => ({ body: { items: control.joinTokens.list() } }),
    },
    {
      method: "POST",
      path: "/v1/jointokens",
      summary: "Makes a join token. Its value is in this answer only.",
      access: "admin",
      body: "JoinTokenRequest",
      answers: { 201: "JoinTokenMade" },
      async handle(call) {
        const request = parseJoinTokenRequest(jsonOf(call));
        return { status: 201, body: await control.joinTokens.create(call.caller, request) };
      },
    },
    {
      method: "DELETE",
      path: "/v1/jointokens/{name}",
      summary: "Ends a join token at once; hosts that joined by it stay. `default` gets another value.",
      access: "admin",
      answers: { 200: "Done" },
      async handle({ caller, name }) {
        await control.joinTokens.end(caller, name);
        return { body: { revision: control.revision } };
      },
    },
  ];
}
