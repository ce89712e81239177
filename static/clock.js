// Asks the service for the time, once a second, and shows who answered.
const time = document.getElementById("time");
const replica = document.getElementById("replica");

async function tick() {
  try {
    const answer = await fetch("./", { cache: "no-store" });
    time.textContent = answer.ok ? await answer.text() : `${answer.status} ${answer.statusText}`;
    const name = answer.headers.get("X-Served-By");
    replica.textContent = name ? `told by ${name}` : "";
  } catch {
    time.textContent = "no answer";
    replica.textContent = "";
  }
  setTimeout(tick, 1000);
}

tick();
