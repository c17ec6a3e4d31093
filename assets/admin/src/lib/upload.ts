// A fetch that tells how much has been sent: fetch itself cannot, XMLHttpRequest can.

export type Progress = (done: number, total: number) => void;

export function uploading(onprogress: Progress, signal?: AbortSignal) {
    return (to: RequestInfo | URL, init: RequestInit = {}): Promise<Response> => new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        request.open(init.method ?? "GET", String(to));
        new Headers(init.headers).forEach((value, name) => request.setRequestHeader(name, value));
        request.upload.onprogress = ({ loaded, total }) => onprogress(loaded, total);
        request.onload = () => {
            const empty = request.status === 204 || request.status === 304;
            resolve(new Response(empty ? null : request.responseText, { status: request.status, headers: { "Content-Type": request.getResponseHeader("Content-Type") ?? "" } }));
        };
        request.onerror = () => reject(new TypeError("The connection was lost"));
        request.onabort = () => reject(new DOMException("Stopped", "AbortError"));
        signal?.addEventListener("abort", () => request.abort(), { once: true });
        request.send(init.body as XMLHttpRequestBodyInit | null | undefined);
    });
}
