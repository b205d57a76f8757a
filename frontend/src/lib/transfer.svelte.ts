import { DetailedError, Upload } from "tus-js-client";
import { csrfToken, errorText } from "./api";

/** One file on its way to the server in raw chunks (tus 1.0); survives a lost connection and a reload of the page. */

const CHUNK_BYTES = 8_000_000;
const RETRIES = [0, 1000, 3000, 5000, 10_000];
const SPEED_WINDOW_MILLISECONDS = 4000;

export type TransferState = "waiting" | "sending" | "paused" | "checking" | "done" | "failed";

export interface Destination {
  readonly endpoint: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export class Transfer {
  state = $state<TransferState>("waiting");
  sent = $state(0);
  /** Bytes a second over the last moments. */
  speed = $state(0);
  message = $state("");
  /** What has come is being kept, and cannot be given up now. */
  saving = $state(false);
  readonly name: string;
  readonly bytes: number;
  private readonly upload: Upload;
  private readonly samples: { at: number; sent: number }[] = [];

  constructor(
    readonly file: File,
    destination: Destination,
    private readonly done: (transfer: Transfer) => void,
  ) {
    this.name = file.name;
    this.bytes = file.size;
    this.upload = this.prepare(destination);
  }

  get fraction(): number {
    return this.bytes > 0 ? this.sent / this.bytes : 0;
  }

  /** Where the upload is, once it has begun. */
  get url(): string {
    return this.upload.url ?? "";
  }

  get active(): boolean {
    return this.state === "sending" || this.state === "checking";
  }

  /** Begin, or go on where an earlier attempt stopped. */
  async start(): Promise<void> {
    this.message = "";
    this.samples.length = 0;
    if (this.bytes === 0) {
      this.fail("The file is empty.");
      return;
    }
    this.state = "sending";
    const earlier = await this.upload.findPreviousUploads();
    const latest = earlier.at(-1);
    if (latest && this.upload.url === null) this.upload.resumeFromPreviousUpload(latest);
    this.upload.start();
  }

  async pause(): Promise<void> {
    this.state = "paused";
    this.speed = 0;
    await this.upload.abort();
  }

  /** Give up and let the server forget what it has. */
  async discard(): Promise<void> {
    try {
      await this.upload.abort(true);
    } catch {
      // The server forgets unfinished uploads by itself.
    }
  }

  private prepare({ endpoint, metadata }: Destination): Upload {
    return new Upload(this.file, {
      endpoint,
      chunkSize: CHUNK_BYTES,
      retryDelays: RETRIES,
      metadata: { ...metadata, filename: this.file.name },
      removeFingerprintOnSuccess: true,
      // Two teams, or two kinds, may be sent the same file.
      fingerprint: (file) =>
        Promise.resolve(["flowverify", endpoint, metadata.kind, metadata.team, file.name, file.size, file.lastModified].join("|")),
      onBeforeRequest: (request) => {
        request.setHeader("X-CSRFToken", csrfToken());
      },
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0;
        return status === 0 || status === 409 || status === 423 || status >= 500;
      },
      onProgress: (sent) => this.progress(sent),
      onSuccess: () => {
        this.sent = this.bytes;
        this.state = "done";
        this.done(this);
      },
      onError: (error) => this.fail(transferError(error)),
    });
  }

  private progress(sent: number): void {
    this.sent = sent;
    if (this.state === "paused") return;
    // The last bytes are answered only after the engine has inspected the file.
    this.state = sent >= this.bytes ? "checking" : "sending";
    const now = performance.now();
    this.samples.push({ at: now, sent });
    while (this.samples.length > 2 && now - (this.samples[0]?.at ?? now) > SPEED_WINDOW_MILLISECONDS) this.samples.shift();
    const first = this.samples[0];
    if (first && now > first.at) this.speed = Math.max(0, ((sent - first.sent) * 1000) / (now - first.at));
  }

  private fail(message: string): void {
    this.message = message;
    this.speed = 0;
    this.state = "failed";
  }
}

function transferError(error: Error | DetailedError): string {
  if (!(error instanceof DetailedError)) return error.message;
  const response = error.originalResponse;
  return errorText(response?.getStatus() ?? 0, response?.getBody() ?? "");
}
