import type { Health } from './health.ts';
import type { Metrics } from './metrics.ts';
import { type SnapshotSources, takeSnapshot } from './sources.ts';

/** What a handler gets to see of a request. */
export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Empty for GET. At most 64 KiB, larger ones are refused before. */
  readonly body: Buffer;
}

/** What a handler answers with. */
export interface AdminResponse {
  /** HTTP status code. */
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

export type AdminHandler = (request: AdminRequest) => AdminResponse | Promise<AdminResponse>;

/** The methods a path answers to. HEAD goes to GET. */
export interface AdminRoute {
  readonly GET?: AdminHandler;
  readonly POST?: AdminHandler;
}

/** Path (exact, without query) to route. Further routes are added by `new Map([...routes, ...more])`. */
export type AdminRoutes = ReadonlyMap<string, AdminRoute>;

export interface AdminRouteOptions {
  readonly version: string;
  readonly sources: SnapshotSources;
  readonly metrics: Pick<Metrics, 'contentType' | 'text'>;
  health(): Health;
  /** Since the start, in ms. */
  uptimeMs(): number;
}

const MS_PER_SECOND = 1000;

/**
 * The routes every gateway has: `/livez`, `/readyz` (200 or 503; `?verbose` adds the checks), `/metrics`,
 * `/api/status`.
 */
export function createAdminRoutes(options: AdminRouteOptions): AdminRoutes {
  return new Map<string, AdminRoute>([
    ['/livez', { GET: (request) => answerProbe(request, options.health(), true) }],
    [
      '/readyz',
      {
        GET: (request) => {
          const health = options.health();
          return answerProbe(request, health, health.ready);
        },
      },
    ],
    ['/metrics', { GET: () => answerMetrics(options.metrics) }],
    ['/api/status', { GET: () => json(200, describeStatus(options)) }],
  ]);
}

/** A JSON answer. */
export function json(status: number, value: unknown): AdminResponse {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` };
}

function answerProbe(request: AdminRequest, health: Health, good: boolean): AdminResponse {
  const { status, checks } = health;
  return json(good ? 200 : 503, request.query.has('verbose') ? { status, checks } : { status });
}

async function answerMetrics(metrics: AdminRouteOptions['metrics']): Promise<AdminResponse> {
  return { status: 200, contentType: metrics.contentType, body: await metrics.text() };
}

function describeStatus(options: AdminRouteOptions): unknown {
  return {
    version: options.version,
    uptimeSeconds: Math.floor(options.uptimeMs() / MS_PER_SECOND),
    health: options.health(),
    ...takeSnapshot(options.sources),
  };
}
