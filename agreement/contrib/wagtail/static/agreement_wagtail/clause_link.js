/* The entity of Wagtail's text editor that links to a clause. Its form is at agreement.contrib.wagtail.views. */
(() => {
  const { ModalWorkflowSource, TooltipEntity, registerPlugin } = window.draftail;

  class ClauseSource extends ModalWorkflowSource {
    getChooserConfig(entity) {
      const { agreement, number } = entity ? entity.getData() : {};
      return {
        url: this.props.entityType.chooserUrls.clause,
        urlParams: agreement ? { agreement, number } : {},
        onload: {
          form: (modal) => modal.ajaxifyForm(modal.body.find("form")),
          chosen: (modal, data) => modal.respond("chosen", data.result),
        },
        responses: { chosen: this.onChosen },
      };
    }

    filterEntityData({ agreement, number, url }) {
      return { agreement, number, url };
    }
  }

  const Clause = (props) => {
    const { number, url } = props.contentState.getEntity(props.entityKey).getData();
    return window.React.createElement(TooltipEntity, { ...props, icon: "openquote", label: number, url });
  };

  registerPlugin({ type: "AGREEMENT-CLAUSE", source: ClauseSource, decorator: Clause }, "entityTypes");
})();
