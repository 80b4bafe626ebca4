// Asking a person before something is lost.
import { Fault } from "../../model/fault.ts";
import type { Io } from "../io.ts";

/** Lets a person say no. Without one, only --yes passes: a script has to have meant it. */
export async function confirm(
  io: Io,
  what: string,
  losses: readonly string[],
  yes: boolean | undefined,
): Promise<void> {
  if (yes === true) return;
  if (io.ask === undefined) {
    throw new Fault("request-invalid", {
      what: `${what} needs a confirmation`,
      why: "there is no terminal to ask on",
      blockers: losses,
      isLoss: true,
      fix: "add --yes to confirm it",
    });
  }
  io.err(`${what} takes with it:\n${losses.map((loss) => `  ${loss}\n`).join("")}`);
  const answer = await io.ask("Type yes to continue: ");
  if (answer.trim() !== "yes")
    throw new Fault("request-invalid", {
      what: `${what} was not confirmed; nothing was changed`,
      fix: "answer yes, or add --yes",
    });
}
