// Expressions as text: what parse.ts reads back as the same value.
import type { Comparison, Rank, Requirement } from "./parse.ts";

export function requirementText(requirement: Requirement): string {
  switch (requirement.kind) {
    case "compare":
      return comparisonText(requirement.compare);
    case "not":
      return `!${inParentheses(requirement.part)}`;
    case "all":
      return requirement.parts.map(partText).join(" & ");
    case "any":
      return requirement.parts.map(partText).join(" | ");
  }
}

export function comparisonText({ field, sign, value }: Comparison): string {
  return `${field} ${sign} ${typeof value === "number" ? value : `"${value}"`}`;
}

function partText(part: Requirement): string {
  return part.kind === "compare" || part.kind === "not" ? requirementText(part) : inParentheses(part);
}

function inParentheses(requirement: Requirement): string {
  return `(${requirementText(requirement)})`;
}

export function rankText(rank: Rank): string {
  switch (rank.kind) {
    case "number":
      return String(rank.value);
    case "field":
      return rank.field;
    case "minus":
      return `-(${rankText(rank.part)})`;
    case "binary":
      return `(${rankText(rank.left)} ${rank.sign} ${rankText(rank.right)})`;
  }
}
