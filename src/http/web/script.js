// Four comforts, none of them needed: times in the reader's zone, a countdown, a run that is followed, a log that grows by itself.

const zone = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
const exact = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const zoneName = Intl.DateTimeFormat().resolvedOptions().timeZone;

for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (Number.isNaN(at.getTime())) continue;
  const utc = time.textContent;
  if (time.classList.contains("exact")) {
    time.title = `${exact.format(at)} in ${zoneName}`;
  } else {
    time.textContent = zone.format(at);
    time.title = `${utc} (shown in ${zoneName})`;
  }
}

for (const clock of document.querySelectorAll("[data-countdown]")) {
  const due = new Date(clock.dataset.countdown).getTime();
  // The server's clock decides: the page says what it was when the page was made.
  const ahead = new Date(clock.dataset.now).getTime() - Date.now();
  const tick = () => {
    const left = Math.floor((due - Date.now() - ahead) / 1000);
    if (left <= 0) {
      clock.textContent = "now";
      // The run writes its journal: look at it soon.
      setTimeout(() => location.reload(), 2000);
      return;
    }
    const [days, hours, minutes, seconds] = [left / 86400, (left / 3600) % 24, (left / 60) % 60, left % 60].map(Math.floor);
    const clockwork = [hours, minutes, seconds].map((part) => String(part).padStart(2, "0")).join(":");
    clock.textContent = days > 0 ? `${days} d ${clockwork}` : clockwork;
    setTimeout(tick, 1000 - (Date.now() % 1000));
  };
  tick();
}

// A release that is being disclosed: its journal grows until it is done or needs a person.
if (document.querySelector("[data-running]")) setTimeout(() => location.reload(), 2000);

const log = document.querySelector(".log[data-events]");
if (log) {
  const state = document.getElementById("log-state");
  const source = new EventSource(log.dataset.events);
  state.textContent = "Following.";
  source.addEventListener("line", (event) => {
    const near = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    const line = document.createElement("li");
    line.value = Number(event.lastEventId);
    line.textContent = JSON.parse(event.data);
    log.append(line);
    if (near) log.scrollTop = log.scrollHeight;
  });
  source.addEventListener("end", () => {
    source.close();
    location.reload();
  });
  source.addEventListener("error", () => {
    state.textContent = "The connection was lost; trying again.";
  });
  source.addEventListener("open", () => {
    state.textContent = "Following.";
  });
}
