// What nginx can't do by configuration alone.

// nginx's own variables are empty for a header that is empty and for one that is missing.
const hasHost = request => String(request.headersIn.Host !== undefined);

// Asks for readiness as a client would: the answer does not matter, nginx draws its own conclusions.
const probe = () => ngx.fetch('http://127.0.0.1:8080/health/ready').catch(() => {});

export default { hasHost, probe };
