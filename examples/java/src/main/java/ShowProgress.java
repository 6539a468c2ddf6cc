/** Prints how far an extension has come; other kinds of task have no progress. */
public final class ShowProgress {
    public static void main(String[] args) {
        MissingCalls.ProgressResponse progress = Clients.core().syncInvokeHttp(
            new MissingCalls.ProgressRequest(Clients.INSTANCE_ID, args[0]), MissingCalls.SHOW_PROGRESS);
        System.out.println(progress.progressPercentage + " %, " + progress.remainTime + " s left");
        for (MissingCalls.Step step : progress.stepList) {
            System.out.println(step.name + " " + step.statue);
        }
    }
}
