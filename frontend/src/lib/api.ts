import type { Artifact, BoundPoint, RunEvent, Verification } from "./types";

/** An answer that is not 2xx. `message` is for people. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** The token against request forgery that the page carries. */
export function csrfToken(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csrf-token"]')?.content ?? "";
}

/** The first message in an error body: `{"detail": "..."}`, `{"field": ["..."]}`, or plain text. */
export function errorText(status: number, body: string): string {
  try {
    const found = firstText(JSON.parse(body));
    if (found) return found;
  } catch {
    // Not JSON: an error page or plain text, judged below.
  }
  const text = body.trim();
  if (text && text.length < 400 && !text.startsWith("<")) return text;
  if (status === 0) return "The server does not answer. Check the connection and try again.";
  if (status === 401 || status === 403) return "You are not allowed to do this, or your session has ended: log in again.";
  if (status === 413) return "The file is too large for this server.";
  return `The server answered with an error (${status}). Try again; if it stays, ask the person who runs this server.`;
}

function firstText(value: unknown): string | null {
  if (typeof value === "string") return value.trim() || null;
  if (value === null || typeof value !== "object") return null;
  for (const item of Object.values(value)) {
    const found = firstText(item);
    if (found) return found;
  }
  return null;
}

/** JSON from `path`, or `ApiError`. */
export async function request(path: string, init: RequestInit = {}): Promise<unknown> {
  const response = await fetch(path, {
    credentials: "same-origin",
    cache: "no-store",
    ...init,
    headers: { Accept: "application/json", ...init.headers },
  });
  if (!response.ok) throw new ApiError(response.status, errorText(response.status, await response.text()));
  return response.json();
}

/** Numbered rows after the one asked for, in order; `more` if there are further ones already. */
export interface Numbered<Row> {
  readonly results: Row[];
  readonly more: boolean;
}

/** The REST addresses of one verification. */
export class VerificationApi {
  private readonly base: string;

  constructor(id: string, root = "/api/v1") {
    this.base = `${root}/verifications/${id}`;
  }

  async verification(): Promise<Verification> {
    return (await request(`${this.base}/`)) as Verification;
  }

  async bounds(after: number): Promise<Numbered<BoundPoint>> {
    return (await request(`${this.base}/bounds/?after=${after}`)) as Numbered<BoundPoint>;
  }

  async events(after: number): Promise<Numbered<RunEvent>> {
    return (await request(`${this.base}/events/?after=${after}`)) as Numbered<RunEvent>;
  }

  async artifacts(): Promise<Artifact[]> {
    return (await request(`${this.base}/artifacts/`)) as Artifact[];
  }

  async cancel(): Promise<void> {
    await request(`${this.base}/cancel/`, { method: "POST", headers: { "X-CSRFToken": csrfToken() } });
  }
}

/** Where the bytes of an artifact are; the revision keeps the browser from showing an old picture. */
export function artifactUrl(artifact: Artifact): string {
  return `${artifact.url}?revision=${artifact.revision}`;
}
